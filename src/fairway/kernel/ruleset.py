"""Our nftables tables in the kernel: installed, their elements changed in one transaction, read back.

Changes are first asked for strictly (``create``, ``delete``): if the kernel agrees, every one was a change,
and undoing is exact. Only if it refuses, the table is read and what holds already is left out; a table that
somebody flushed is installed again. So the common case costs one transaction, and the rare one heals.

``inet fairway`` is what packets meet, ``bridge fairway`` what frames meet on a bridge. Names of sets and
maps are unique over both, so an element need not say in which table it is; names of chains are, too, but for
the mark. On a kernel without nftables for bridges that table is left out: its elements are taken and
remembered, and nothing happens.

The base ruleset is text from ``firewall/``. Two rules in a chain of each table carry the text's digest, and
what the kernel made of it (see ``fingerprint``). Where they are missing or differ, because somebody flushed a
table or changed a rule, or an earlier version wrote it, the chains that the text declares are written anew in
one transaction. Chains for the administrator (``user…``), other chains, and all elements stay as they are;
the tables themselves are only removed by ``uninstall``.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fairway.kernel import elements, nfnetlink
from fairway.kernel.fingerprint import fingerprint
from fairway.kernel.netlink import NETLINK_NETFILTER, Channel
from fairway.kernel.nfnetlink import read_chain, read_rule
from fairway.kernel.nft import Nft, NftError
from fairway.model.errors import Conflict, Fault, InvalidParameter, System
from fairway.plan import Count, Counted, Element, Step

TABLE, BRIDGE_TABLE = TABLES = ("inet fairway", "bridge fairway")
NAME = TABLE.split()[1]
"""Of both."""
_TABLE = re.compile(r"^table (\w+ \w+) \{", re.MULTILINE)
_CHAIN = re.compile(r"^\s*chain\s+(\w+)\s*\{", re.MULTILINE)
_MARK = "version"
"""The chain that holds digest and fingerprint; nothing leads to it."""
_DECLARATION = re.compile(r"^\s*(?:set|map)\s+(\w+)\s*\{", re.MULTILINE)
_SYNTAX = frozenset('"\\{};#\n')
"""What could end an element in the command and begin something else."""


class _There(NamedTuple):
    """What is there of the table."""

    chains: Sequence[str]
    marks: Sequence[str]
    fingerprint: str


class Ruleset:
    """The tables in the namespace of the thread that makes this. Only for that thread."""

    def __init__(self, text: str) -> None:
        """``text`` defines the tables with their chains and sets, in nft's syntax.

        A table that is not in it shall not be there, and elements have nowhere to go.
        """
        self._digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        parts = _TABLE.split(text)
        self._bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
        self._homes = {n: t for t, body in self._bodies.items() for n in _DECLARATION.findall(body)}
        """Table of each set and map, whether this kernel can have it or not."""
        self._declared = frozenset(self._homes)
        self._objects = elements.objects(text)
        self._own = frozenset((*_CHAIN.findall(text), _MARK))
        self._unplaced: set[Element] = set()
        """Elements of a table that this kernel cannot have."""
        self._channel: Channel | None = None
        self._context: Nft | None = None
        self.rewritten = False
        """Whether rules had to be written, until somebody takes note."""
        self._names: dict[str, tuple[bool, ...]] = {}

    def install(self) -> bool:
        """Make the tables, or write their chains anew; whether that was needed. Raises System."""
        there = {table: self._read(table) for table in TABLES}
        if not there[BRIDGE_TABLE].chains and not self._bridges():
            self._bodies.pop(BRIDGE_TABLE, None)
        if all(self._whole(table, found) for table, found in there.items()):
            return False
        self._names.clear()
        surplus = [table for table in self._present() if table not in self._bodies]
        flushed = [
            f"flush chain {table} {name}"
            for table in self._bodies
            for name in sorted(filter(self._ours, there[table].chains))
        ]
        mark = f'chain {_MARK} {{ return comment "{self._digest}"; }}'
        written = [f"table {table} {{{body}" for table, body in self._bodies.items()]
        written += [f"table {table} {{\n{mark}\n}}" for table in self._bodies]
        commands = [*_deletions(surplus), *flushed, *written]
        self._command("\n".join(commands), "cannot install the nftables ruleset")
        self.rewritten = True
        marks = [
            f'add rule {table} {_MARK} return comment "{self._read(table).fingerprint}"'
            for table in self._bodies
        ]
        self._command("\n".join(marks), "cannot mark the nftables ruleset")
        return True

    def intact(self) -> bool:
        """Whether our chains are as ``install`` left them. Raises System."""
        return all(self._whole(table, self._read(table)) for table in TABLES)

    def keeps(self, name: str) -> bool:
        """Whether a chain or a set of the tables is ours, and nobody else's to change. For any thread."""
        return name in self._declared or self._ours(name)

    def _ours(self, chain: str) -> bool:
        return chain in self._own and not chain.startswith("user")

    def _whole(self, table: str, there: "_There") -> bool:
        wanted = [self._digest, there.fingerprint] if table in self._bodies else []
        return there.marks == wanted

    def _read(self, table: str) -> "_There":
        """The table without its elements."""
        channel, (kind, name) = self._netlink(), table.split()
        family = nfnetlink.FAMILIES[kind]
        (found,) = channel.exchange([nfnetlink.get_table(name, family)])
        if not found.objects:
            return _There([], [], "")
        flags = int.from_bytes(nfnetlink.parts(found.objects[0])[nfnetlink.NFTA_TABLE_FLAGS], "big")
        chains = [c for c in map(read_chain, channel.dump(nfnetlink.dump_chains(family))) if c.table == name]
        rules = [
            r for r in map(read_rule, channel.dump(nfnetlink.dump_rules(name, family))) if r.table == name
        ]
        mark = fingerprint(flags, chains, rules, lambda chain: chain != _MARK and self._ours(chain))
        return _There([c.name for c in chains], [r.comment for r in rules if r.chain == _MARK], mark)

    def _bridges(self) -> bool:
        """Whether the kernel has nftables for bridges: a table that is gone before anybody sees it."""
        try:
            self.context().run(f"add table {BRIDGE_TABLE}-probe; delete table {BRIDGE_TABLE}-probe")
        except NftError:
            return False
        return True

    def uninstall(self) -> bool:
        """Remove the tables that are there; whether one was. Raises System."""
        if present := self._present():
            self._command("\n".join(_deletions(present)), f"cannot remove {' and '.join(present)}")
        self._unplaced.clear()
        return bool(present)

    def _present(self) -> list[str]:
        """Those of the two tables that there are."""
        # Not as JSON: about others' tables that have a flag, libnftables writes what is none (1.0.6).
        listed = self.context().listing("list tables").splitlines()
        return [table for table in TABLES if f"table {table}" in listed]

    def elements(self) -> set[Element]:
        """Elements of the sets and maps that our text declares, but none with a timeout or from packets.

        An administrator may keep sets of their own in the table. Raises System, OSError.
        """
        if self._objects is None:
            return set(self.counted().elements) | self._unplaced
        channel = self._netlink()
        placed = {element for each in self._objects for element in elements.read(channel, each)}
        return placed | self._unplaced

    def counted(self) -> Counted:
        """The elements, what they and the rules with a comment have counted, and the size of user chains."""
        elements: dict[Element, Count | None] = {}
        rules: dict[str, Count] = {}
        user = {name: 0 for name in self._own if name.startswith("user")}
        marks = 0
        for entry in (e for table in self._present() for e in self._query(f"list table {table}")):
            elements.update(_elements(entry))
            rule = entry.get("rule", {})
            comment, chain = rule.get("comment", ""), rule.get("chain", "")
            marks += chain == _MARK and comment == self._digest
            if chain in user:
                user[chain] += 1
            elif chain in self._own and (count := _rule_count(rule)):
                sofar = rules.get(comment, Count())
                rules[comment] = Count(sofar.packets + count.packets, sofar.bytes + count.bytes)
        ours = {element: n for element, n in elements.items() if element.table_object in self._declared}
        complete = 0 < len(self._bodies) == marks
        return Counted(installed=complete, elements=ours, rules=rules, user=user)

    def listing(self) -> str:
        """The tables as ``nft list table`` prints them, one after the other; empty without."""
        return "".join(self.context().listing(f"list table {table}") for table in self._present())

    def take(self, steps: Sequence[Step]) -> list[bool | Fault]:
        """Add and delete elements in one transaction; per step whether it changed anything, or why not."""
        try:
            self.context().run(self._commands(steps))
            return [self._placed(step) or self._remember(step) for step in steps]
        except NftError:
            return self._reconcile(steps)
        except Fault as fault:
            return [fault, *[False] * (len(steps) - 1)]

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._context is not None:
            self._context.close()

    def _reconcile(self, steps: Sequence[Step]) -> list[bool | Fault]:
        try:
            self.install()
            placed = [step for step in steps if self._placed(step)]
            needed, refused = _needed(placed, self.elements())
            if todo := [s for s, need in zip(placed, needed, strict=True) if need]:
                if refused:
                    raise refused
                self.context().run(self._commands(todo))
        except NftError as error:
            names = ", ".join(sorted({s.fact.table_object for s in steps if isinstance(s.fact, Element)}))
            fault = System(f"cannot change {names} of the nftables ruleset: {error}")
            return [fault, *[False] * (len(steps) - 1)]
        except Fault as fault:
            return [fault, *[False] * (len(steps) - 1)]
        outcome = iter(needed)
        return [next(outcome) if self._placed(step) else self._remember(step) for step in steps]

    def _placed(self, step: Step) -> bool:
        """Whether the element has a table to go to."""
        assert isinstance(step.fact, Element)
        name = step.fact.table_object
        return bool(self._bodies) and self._homes.get(name, TABLE) in self._bodies

    def _remember(self, step: Step) -> bool:
        """Take an element that has no table to go to; whether that is news. It counts as what holds."""
        assert isinstance(step.fact, Element)
        if not self._bodies or (step.fact in self._unplaced) == step.present:
            return False
        (self._unplaced.add if step.present else self._unplaced.discard)(step.fact)
        return True

    def _commands(self, steps: Sequence[Step]) -> str:
        """Neighbouring steps on one object become one command with many elements."""
        lines: list[str] = []
        previous: tuple[str, bool] | None = None
        for step in filter(self._placed, steps):
            assert isinstance(step.fact, Element)
            at = (step.fact.table_object, step.present)
            if at == previous:
                lines[-1] += f", {self._spell(step)}"
            else:
                verb = "create" if step.present else "delete"
                table = self._homes.get(step.fact.table_object, TABLE)
                lines.append(f"{verb} element {table} {step.fact.table_object} {{ {self._spell(step)}")
            previous = at
        return "\n".join(f"{line} }}" for line in lines)

    def _spell(self, step: Step) -> str:
        element = step.fact
        assert isinstance(element, Element)
        if _SYNTAX & set("".join((*element.key, element.value))):
            raise InvalidParameter(f"invalid element of {element.table_object}: {element.key}")
        names = self._quoted(element.table_object, len(element.key))
        key = " . ".join(f'"{k}"' if q else k for k, q in zip(element.key, names, strict=True))
        return f"{key} : {element.value}" if element.value and step.present else key

    def _quoted(self, name: str, parts: int) -> tuple[bool, ...]:
        """Which key parts are interface names, to be quoted: an interface may be called ``tcp`` or ``80``."""
        if name not in self._names:
            for entry in self._query(f"list table {self._homes.get(name, TABLE)}", terse=True):
                if (found := entry.get("set") or entry.get("map")) is not None:
                    types = found["type"] if isinstance(found["type"], list) else [found["type"]]
                    self._names[found["name"]] = tuple(t == "ifname" for t in types)
        if len(self._names.get(name, ())) != parts:
            if name not in self._names:
                raise NftError(f"no set or map {name} in table {TABLE}")
            raise System(f"an element of {name} has {len(self._names[name])} parts, not {parts}")
        return self._names[name]

    def _netlink(self) -> Channel:
        if self._channel is None:
            self._channel = Channel(NETLINK_NETFILTER)
        return self._channel

    def context(self) -> Nft:
        """The libnftables context of this namespace, made when it is first needed. Raises System."""
        if self._context is None:
            self._context = Nft()
        return self._context

    def _command(self, command: str, failure: str) -> None:
        try:
            self.context().run(command)
        except NftError as error:
            raise System(
                f"{failure}: {error}; it needs CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET"
            ) from error

    def _query(self, command: str, *, terse: bool = False) -> list[dict[str, Any]]:
        return self.context().query(command, terse=terse)


def _needed(steps: Sequence[Step], have: set[Element]) -> tuple[list[bool], Conflict | None]:
    """Which steps change something, taken in order, and the first that another element is in the way of."""
    now = {(e.table_object, e.key): e for e in have}
    needed, refused = [], None
    for step in steps:
        element = step.fact
        assert isinstance(element, Element)
        at = (element.table_object, element.key)
        present = now.get(at)
        needed.append((present == element) != step.present)
        if step.present and present not in (None, element):
            refused = refused or taken(element, present)
        elif step.present:
            now[at] = element
        elif present == element:
            del now[at]
    return needed, refused


def taken(element: Element, present: Element | None) -> Conflict:
    """The error for a map key that leads elsewhere already."""
    value = present.value if present else ""
    return Conflict(f"{' . '.join(element.key)} is in {element.table_object} already, leading to {value}")


def _deletions(tables: Iterable[str]) -> list[str]:
    return [f"delete table {table}" for table in tables]


def _elements(entry: dict[str, Any]) -> Iterable[tuple[Element, Count | None]]:
    """The elements of one ``set`` or ``map`` entry of the JSON listing, with their counters."""
    found = entry.get("set") or entry.get("map")
    if not found or {"timeout", "dynamic"} & set(found.get("flags", ())):
        return
    for item in found.get("elem", ()):
        key, value = item if "map" in entry else (item, None)
        parts = _parts(key)
        counter = key["elem"].get("counter") if isinstance(key, dict) and "elem" in key else None
        count = Count(counter["packets"], counter["bytes"]) if counter else None
        yield Element(found["name"], parts, "" if value is None else _value(value)), count


def _rule_count(rule: dict[str, Any]) -> Count | None:
    counter = next((each["counter"] for each in rule["expr"] if "counter" in each), None)
    return Count(counter["packets"], counter["bytes"]) if counter else None


def _parts(item: Any) -> tuple[str, ...]:
    if isinstance(item, dict):
        if "elem" in item:
            return _parts(item["elem"]["val"])
        if "concat" in item:
            return tuple(part for each in item["concat"] for part in _parts(each))
        if "prefix" in item:
            return (f"{item['prefix']['addr']}/{item['prefix']['len']}",)
        if "range" in item:
            return ("-".join(str(r) for r in item["range"]),)
    return (str(item),)


def _value(item: Any) -> str:
    """A map's data, or a verdict, as nft writes it: ``goto x``, ``drop``."""
    if isinstance(item, dict) and not {"concat", "prefix", "range", "elem"} & item.keys():
        ((verdict, detail),) = item.items()
        return f"{verdict} {detail['target']}" if detail else str(verdict)
    return " . ".join(_parts(item))
