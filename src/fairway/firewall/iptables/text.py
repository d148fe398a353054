"""Tables of ``iptables`` lines as text, column for column as iptables 1.8 prints them.

Addresses and ports are numbers, protocols are names (``-n`` of iptables 1.8.9 and 1.8.10 alone prints them as
numbers), counters are exact (``-x``). ``-`` stands where nothing is counted, and ``/* shared count */`` marks
one counter that is shown on several lines.
"""

from collections.abc import Iterable, Mapping

from fairway.firewall.iptables.shapes import TABLES, Chain, Line, Table
from fairway.model.address import Family
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.rule import Form


def printed(
    tables: Mapping[str, Table],
    kind: Family,
    *,
    form: Form = "list",
    table: str = "",
    chain: str = "",
    verbose: bool = False,
) -> str:
    """One table (``filter`` unless named), or one chain of it; ``save`` prints all tables that hold lines.

    Raises InvalidParameter, NotFound with iptables' texts.
    """
    if table and table not in TABLES:
        raise InvalidParameter(f"table '{table}' does not exist")
    if form == "save":
        names = [table] if table else [name for name in TABLES if _used(tables[name])]
        return "".join(_saved(tables[name]) for name in names)
    found = tables[table or "filter"]
    chains = [each for each in found.chains if chain in ("", each.name)]
    if not chains:
        raise NotFound("No chain/target/match by that name.")
    if form == "list":
        return "\n".join(_listed(found, each, kind, verbose) for each in chains)
    return _lines((*_declared(chains), *_appended(chains, verbose)))


def _used(table: Table) -> bool:
    return any(chain.lines or not chain.builtin for chain in table.chains)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


# iptables -L


def _listed(table: Table, chain: Chain, kind: Family, verbose: bool) -> str:
    about = "policy ACCEPT" if chain.builtin else f"{table.references(chain.name)} references"
    columns = f"{'target':<9}  prot opt"
    if verbose:
        columns = f"{'pkts':>5} {'bytes':>5} {columns} {'in':<6} {'out':<6} "
    columns += f" {'source':<19}  {'destination':<19} "
    lines = (_row(line, "0.0.0.0/0" if kind == 4 else "::/0", verbose) for line in chain.lines)
    return _lines((f"Chain {chain.name} ({about})", columns, *lines))


def _row(line: Line, anywhere: str, verbose: bool) -> str:
    row = f"{line.target:<9}  {line.protocol or 'all':<4} -- "
    if verbose:
        packets, size = (line.count.packets, line.count.bytes) if line.count else ("-", "-")
        row = f"{packets:>5} {size:>5} {row} {line.incoming or '*':<6} {line.outgoing or '*':<6} "
    source, destination = (_bare(a) or anywhere for a in (line.source, line.destination))
    row += f" {source:<19}  {destination:<19} "
    if line.match:
        row += f" {line.match.shown}"
    if line.to:
        row += f" to:{line.to}"
    return f"{row} /* shared count */" if verbose and line.shared and line.count else row


def _bare(address: str) -> str:
    return address.removesuffix("/32").removesuffix("/128")


# iptables -S


def _declared(chains: Iterable[Chain]) -> list[str]:
    ordered = sorted(chains, key=lambda chain: not chain.builtin)
    return [f"-P {chain.name} ACCEPT" if chain.builtin else f"-N {chain.name}" for chain in ordered]


def _appended(chains: Iterable[Chain], verbose: bool) -> Iterable[str]:
    return (f"-A {chain.name}{_words(line, verbose)}" for chain in chains for line in chain.lines)


def _words(line: Line, verbose: bool) -> str:
    words = [
        _option("-s", line.source),
        _option("-d", line.destination),
        _option("-i", line.incoming),
        _option("-o", line.outgoing),
        _option("-p", line.protocol),
        line.match.option if line.match else "",
        f"-c {line.count.packets} {line.count.bytes}" if verbose and line.count else "",
        _option("-j", line.target),
        _option("--to-destination", line.to),
    ]
    return "".join(f" {word}" for word in words if word)


def _option(name: str, value: str) -> str:
    if value.startswith("!"):
        return f"! {name} {value[1:]}"
    return f"{name} {value}" if value else ""


# iptables-save


def _saved(table: Table) -> str:
    declared = [f":{chain.name} {'ACCEPT' if chain.builtin else '-'} [0:0]" for chain in table.chains]
    return _lines((f"*{table.name}", *declared, *_appended(table.chains, False), "COMMIT"))
