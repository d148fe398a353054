"""Reads other programs' packet filters, as far as they decide about forwarded packets; never changes them.

    nf_tables         libnftables: the chains on the forward hook, then the tables that have one
    iptables-legacy   a filter of its own in the kernel, listed by ``iptables-legacy-save`` if it has tables

The tables of firewalld and ufw are told by their names and chains: their own commands have to change them.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fairway.kernel.nft import Nft, NftError
from fairway.kernel.ruleset import TABLE
from fairway.model.address import Family
from fairway.model.errors import System
from fairway.model.foreign import Condition, ForeignRule, ForeignTable, Verdict

_FAMILIES: dict[str, tuple[Family, ...]] = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
_KEYS = {
    ("meta", "iifname"): "iifname",
    ("meta", "oifname"): "oifname",
    ("meta", "nfproto"): "nfproto",
    ("ct", "state"): "state",
    ("ct", "status"): "status",
}
_WITHOUT_EFFECT = frozenset(("counter", "log", "mangle", "notrack"))
_LEGACY: tuple[tuple[Family, str, str], ...] = (
    (4, "ip", "iptables-legacy"),
    (6, "ip6", "ip6tables-legacy"),
)


def read(nft: Nft) -> list[ForeignTable]:
    """All tables that filter forwarded packets, ours left out. Worker thread. Raises System, OSError."""
    return [*_nf_tables(nft), *_legacy()]


def _nf_tables(nft: Nft) -> Iterator[ForeignTable]:
    chains = [entry["chain"] for entry in nft.query("list chains") if "chain" in entry]
    names = {f"{c['family']} {c['table']}" for c in chains if c.get("hook") == "forward"}
    for name in sorted(names - {TABLE}):
        if name.split()[0] not in _FAMILIES:
            continue
        try:
            listing = nft.query(f"list table {name}", terse=True)
        except NftError:  # somebody removed it meanwhile
            continue
        yield nft_table(name, listing, iptables=_iptables())


def nft_table(name: str, listing: Iterable[Mapping[str, Any]], iptables: str) -> ForeignTable:
    """A table as ``list table`` reports it in JSON; ``iptables`` tells apart the variants of that command."""
    policies: dict[str, Literal["accept", "drop"]] = {}
    chains: dict[str, list[ForeignRule]] = {}
    for entry in listing:
        if "chain" in entry:
            chain = entry["chain"]
            chains[chain["name"]] = []
            if chain.get("hook") == "forward":
                policies[chain["name"]] = chain.get("policy", "accept")
        if "rule" in entry:
            chains.setdefault(entry["rule"]["chain"], []).extend(_rules(entry["rule"]["expr"]))
    kind, _, table = name.partition(" ")
    program = "nft"
    if any(each.startswith("ufw") for each in chains):
        program = "ufw"
    elif table == "firewalld":
        program = "firewalld"
    elif kind != "inet" and "FORWARD" in policies:
        program = iptables if kind == "ip" else iptables.replace("iptables", "ip6tables")
    return ForeignTable(
        program=program,
        families=_FAMILIES[kind],
        name=name,
        policies=policies,
        chains={each: tuple(rules) for each, rules in chains.items()},
    )


def _rules(expressions: Sequence[Mapping[str, Any]]) -> Iterator[ForeignRule]:
    """One rule, or one for each entry of a verdict map."""
    conditions: list[Condition] = []
    opaque = False
    for expression in expressions:
        ((kind, detail),) = expression.items()
        if kind == "match":
            condition = _condition(detail)
            opaque = opaque or condition is None
            conditions += [condition] if condition else []
        elif kind == "vmap":
            for value, verdict in _entries(detail):
                entry = _condition({"op": "==", "left": detail["key"], "right": value})
                known = (*conditions, entry) if entry else tuple(conditions)
                yield from _decided(verdict, known, opaque or entry is None)
        elif kind == "xt" and detail.get("type") == "target":
            if detail.get("name") == "REJECT":
                yield ForeignRule("drop", "", tuple(conditions), opaque)
        elif decided := tuple(_decided(expression, tuple(conditions), opaque)):
            yield from decided
        elif kind not in _WITHOUT_EFFECT:
            opaque = True


def _entries(vmap: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Of a verdict map that stands in the rule; a named one is not looked at."""
    data = vmap.get("data")
    if isinstance(data, dict):
        yield from data.get("set", ())


def _decided(
    expression: Mapping[str, Any], conditions: tuple[Condition, ...], opaque: bool
) -> Iterator[ForeignRule]:
    """The rule that a verdict statement makes; nothing for other statements."""
    ((kind, detail),) = expression.items()
    verdicts: dict[str, Verdict] = {
        "accept": "accept",
        "drop": "drop",
        "reject": "drop",
        "return": "return",
        "jump": "jump",
        "goto": "goto",
    }
    if kind in verdicts:
        target = detail["target"] if kind in ("jump", "goto") else ""
        yield ForeignRule(verdicts[kind], target, conditions, opaque)


def _condition(match: Mapping[str, Any]) -> Condition | None:
    """None for what is not looked at."""
    ((kind, detail),) = match["left"].items()
    key = _KEYS.get((kind, detail.get("key", ""))) if isinstance(detail, dict) else None
    if kind == "payload" and detail.get("protocol") in ("ip", "ip6"):
        key = detail["field"] if detail["field"] in ("saddr", "daddr") else None
    values = _values(match["right"])
    if key is None or values is None or match["op"] not in ("==", "in", "!="):
        return None
    return Condition(key, values, negated=match["op"] == "!=")


def _values(right: Any) -> tuple[str, ...] | None:
    """None for what is not written out: named sets, ranges."""
    if isinstance(right, str | int):
        return None if str(right).startswith("@") else (str(right),)
    if isinstance(right, list) or (isinstance(right, dict) and "set" in right):
        parts = [_values(each) for each in (right if isinstance(right, list) else right["set"])]
        return None if None in parts else tuple(value for part in parts for value in part or ())
    if isinstance(right, dict) and "prefix" in right:
        return (f"{right['prefix']['addr']}/{right['prefix']['len']}",)
    return None


def _iptables() -> str:
    """The command that changes nf_tables: ``iptables`` itself unless that is the other variant here."""
    path = shutil.which("iptables")
    legacy = path is not None and "legacy" in os.path.realpath(path)
    return "iptables-nft" if legacy else "iptables"


def _legacy() -> Iterator[ForeignTable]:
    for kind, family, program in _LEGACY:
        # The calling thread may be in another namespace than the process.
        names = Path(f"/proc/thread-self/net/{family}_tables_names")
        if not names.exists() or not names.read_text().split():
            continue
        save = shutil.which(f"{program}-save") or shutil.which(f"{program.removesuffix('-legacy')}-save")
        if save is None:
            raise System(f"{program} has rules, but there is no {program}-save to read them")
        done = subprocess.run([save], capture_output=True, text=True, check=False)
        if done.returncode:
            raise System(f"{save} failed: {done.stderr.strip()}")
        yield from legacy_tables(done.stdout, kind, program)


def legacy_tables(text: str, kind: Family, program: str) -> Iterator[ForeignTable]:
    """Tables as ``iptables-save`` writes them."""
    for part in re.split(r"^\*", text, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        policies: dict[str, Literal["accept", "drop"]] = {}
        chains: dict[str, list[ForeignRule]] = {}
        for line in lines:
            if line.startswith(":"):
                chain, policy = line[1:].split()[:2]
                chains[chain] = []
                if chain == "FORWARD":
                    policies[chain] = "drop" if policy == "DROP" else "accept"
            elif line.startswith("-A "):
                chain, *words = shlex.split(line)[1:]
                chains[chain] += _legacy_rule(words, chains)
        if policies:
            yield ForeignTable(
                program="ufw" if any(each.startswith("ufw") for each in chains) else program,
                families=(kind,),
                name=f"{'ip' if kind == 4 else 'ip6'} {name}",
                policies=policies,
                chains={each: tuple(rules) for each, rules in chains.items()},
            )


def _legacy_rule(words: Sequence[str], chains: Mapping[str, Any]) -> list[ForeignRule]:
    """``-i docker0 ! -o eth0 -m … -j ACCEPT``; none for a target without verdict."""
    options = {"-i": "iifname", "-o": "oifname", "-s": "saddr", "-d": "daddr", "--ctstate": "state"}
    verdicts: dict[str, Verdict] = {
        "ACCEPT": "accept",
        "DROP": "drop",
        "REJECT": "drop",
        "RETURN": "return",
    }
    conditions: list[Condition] = []
    opaque, negated = False, False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-j", "-g"):
            target = rest.pop(0)
            if target in chains:
                verdict: Verdict = "jump" if word == "-j" else "goto"
                return [ForeignRule(verdict, target, tuple(conditions), opaque)]
            known = verdicts.get(target)
            return [ForeignRule(known, "", tuple(conditions), opaque)] if known else []
        if word in options:
            values = rest.pop(0).lower() if word == "--ctstate" else rest.pop(0)
            named = re.sub(r"\+$", "*", values) if word in ("-i", "-o") else values
            conditions.append(Condition(options[word], tuple(named.split(",")), negated))
        elif word == "-m" and rest[:1] == ["conntrack"]:
            rest.pop(0)
        elif word != "!":
            opaque = True
        negated = word == "!"
    return []
