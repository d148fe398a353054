"""``rules``: what Fairway has programmed, by network and container, or in nft's or iptables' notation.

The daemon writes both notations; what is typed here are iptables' own options, so that a command line can be
taken over: ``iptables -t nat -nL DOCKER`` is ``fairway rules --as iptables -t nat -nL DOCKER``.
"""

from __future__ import annotations

import sys
from typing import Any

from fairway.cli.command import AT_MOST_ONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.output import list_format, print_rows
from fairway.cli.template import Record

_TABLE = "{{.Kind}}\t{{.Name}}\t{{.Rule}}\t{{.From}}\t{{.To}}\t{{.Verdict}}\t{{.Packets}}\t{{.Bytes}}"
_TITLES = {
    "Kind": "KIND",
    "ID": "ID",
    "Name": "NAME",
    "Rule": "RULE",
    "From": "FROM",
    "To": "TO",
    "Verdict": "VERDICT",
    "Packets": "PACKETS",
    "Bytes": "BYTES",
}
_SAVE = "-save"
_NOTATIONS = ("nft", "iptables", "ip6tables", f"iptables{_SAVE}", f"ip6tables{_SAVE}")
_IPTABLES_ONLY = ("table", "list", "list-rules", "numeric", "verbose")


def _rules(given: Invocation) -> int:
    notation = given.options.text("as")
    if notation and notation not in _NOTATIONS:
        raise Exit(FAILED, f"unknown notation {notation!r}: use {', '.join(_NOTATIONS)}")
    if not notation.startswith("ip"):
        for name in _IPTABLES_ONLY:
            if given.options.given(name):
                raise Exit(FAILED, f"--{name} needs --as iptables or --as ip6tables")
    if not notation:
        return _report(given)
    if given.options.given("format"):
        raise Exit(FAILED, "conflicting options: --as and --format")
    if notation == "nft" and given.args:
        raise Exit(FAILED, "--as nft shows the whole table")
    query = None if notation == "nft" else _iptables_query(given, notation)
    program = notation.removesuffix(_SAVE)
    text = given.client.request("GET", f"/fairway/rules/{program}", query).read()
    sys.stdout.write(text.decode())
    return OK


def _report(given: Invocation) -> int:
    rules = given.client.get("/fairway/rules", {"name": next(iter(given.args), None)}) or []
    print_rows(given.options.text("format"), _TABLE, _TITLES, [_row(rule) for rule in rules])
    return OK


def _row(rule: dict[str, Any]) -> Record:
    shown = {name: rule[name] for name in _TITLES}
    return Record(
        "*rules.ruleContext",
        {name: "-" if value is None else str(value) for name, value in shown.items()},
    )


def _iptables_query(given: Invocation, notation: str) -> dict[str, str | bool | None]:
    options = given.options
    if options.flag("list") and options.flag("list-rules"):
        raise Exit(FAILED, "conflicting options: -L and -S")
    form = "save" if notation.endswith(_SAVE) else "commands" if options.flag("list-rules") else "list"
    if form == "save" and given.args:
        raise Exit(FAILED, f"--as {notation} shows whole tables")
    return {
        "form": form,
        "table": options.text("table") or None,
        "chain": next(iter(given.args), None),
        "verbose": options.flag("verbose"),
    }


RULES = Command(
    _rules,
    "[OPTIONS] [CONTAINER | NETWORK | CHAIN]",
    "Show what is programmed in the firewall, with packet counters",
    AT_MOST_ONE,
    (
        Flag("as", STRING, f"Show it in another notation ({', '.join(_NOTATIONS)})"),
        list_format(),
        Flag("list", BOOL, "With --as iptables: list the chains (default)", short="L"),
        Flag("list-rules", BOOL, "With --as iptables: print the rules as commands", short="S"),
        Flag("numeric", BOOL, "With --as iptables: addresses and ports are numbers in any case", short="n"),
        Flag("table", STRING, 'With --as iptables: the table (default "filter")', short="t"),
        Flag("verbose", BOOL, "With --as iptables: show interfaces and counters", short="v"),
    ),
    complete="containers",
)
