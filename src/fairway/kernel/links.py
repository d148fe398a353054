"""Bridges and veth pairs: made, changed in place when they exist, and given to the reaper.

Every link on the host's side carries the alias ``fairway:<owner>``, and group 0xFA1 or, as a port of a
guarded network, that network's (``firewall/guard.py``). The alias is the mark: what does not carry this
daemon's is never changed or deleted, even if it has the name that a plan asks for.
The kernel takes no alias on creation, so it follows in the same send; before that, one look-up tells which
names exist already and who owns them, and which index a port's bridge has.

A veth pair is made by one message with the far end placed in the sandbox: moving it there later costs 20 ms.
The far end is brought up from inside, where the kernel allows it.
"""

import errno
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fairway.kernel.netlink import Answer, Message, absent
from fairway.kernel.reaper import Reaper
from fairway.kernel.rtnetlink import (
    Link,
    delete_link,
    new_bridge,
    new_veth,
    set_bridge,
    set_hairpin,
    set_link,
)
from fairway.kernel.schedule import Outcome
from fairway.kernel.visits import Visits
from fairway.model.address import Mac
from fairway.model.errors import Conflict, Fault, System
from fairway.plan import GROUP, HOST, Bridge, Hairpin, Step, Veth

_OPTION = {"bridge": "CONFIG_BRIDGE", "veth": "CONFIG_VETH"}
BRIDGE_NETFILTER = Path("/proc/sys/net/bridge")
"""There while br_netfilter is loaded; without it, the kernel takes a bridge's settings and ignores them."""


def alias_of(owner: str) -> str:
    """The mark of one daemon's links."""
    return f"fairway:{owner}"


class Links:
    """The hand for bridges and veths. Only for the worker thread."""

    def __init__(self, visits: Visits, reaper: Reaper, alias: str) -> None:
        self._visits = visits
        self._reaper = reaper
        self._alias = alias

    def take(self, steps: Sequence[Step]) -> list[Outcome]:
        """Establish or withdraw a run of bridges, or of veths, all with the same presence."""
        links = [s.fact for s in steps if isinstance(s.fact, Bridge | Veth)]
        if not steps[0].present:
            return self._withdraw([link.name for link in links])
        names = [link.name for link in links] + [link.bridge for link in links if isinstance(link, Veth)]
        there = self._visits.links(HOST, names)
        outcomes: list[Outcome] = [False] * len(links)
        missing: list[int] = []
        for position, link in enumerate(links):
            if link.name in there:
                outcomes[position] = self._converge(link, there[link.name], there)
            elif link not in links[:position]:
                missing.append(position)
        bridges = [(p, link) for p in missing if isinstance(link := links[p], Bridge)]
        veths = [(p, link) for p in missing if isinstance(link := links[p], Veth)]
        self._make_bridges(bridges, outcomes)
        self._make_veths(veths, there, outcomes)
        return outcomes

    def hairpins(self, steps: Sequence[Step]) -> list[Outcome]:
        """Switch the hairpin mode of a run of ports on or off."""
        wanted = [(s.fact.link, s.present) for s in steps if isinstance(s.fact, Hairpin)]
        there = self._visits.links(HOST, [name for name, _ in wanted])
        return [self._hairpin(name, on, there.get(name)) for name, on in wanted]

    def _hairpin(self, name: str, on: bool, link: Link | None) -> Outcome:
        if link is None or link.alias != self._alias:
            problem = System(f"cannot set hairpin mode of {name}: no such interface")
            return (problem if link is None else Conflict(_taken(name))) if on else False
        if link.hairpin == on:
            return False
        refusal = self._visits.send(HOST, set_hairpin(link.index, on))
        return System(f"cannot set hairpin mode of {name}: {refusal}") if refusal else True

    def _withdraw(self, names: list[str]) -> list[Outcome]:
        there = self._visits.links(HOST, names)
        ours = [link for link in there.values() if link.alias == self._alias]
        refusals = dict(zip((link.name for link in ours), self._reaper.doom(ours), strict=True))
        outcomes: list[Outcome] = []
        for name in names:
            refusal = refusals.get(name)
            outcomes.append(System(f"cannot delete {name}: {refusal}") if refusal else refusal is not None)
        return outcomes

    def _make_bridges(self, wanted: list[tuple[int, Bridge]], outcomes: list[Outcome]) -> None:
        messages = []
        for position, bridge in wanted:
            if bridge.filtered and not BRIDGE_NETFILTER.exists():
                outcomes[position] = _unfiltered(bridge)
        wanted = [(p, bridge) for p, bridge in wanted if not isinstance(outcomes[p], Fault)]
        for _, bridge in wanted:
            messages.append(new_bridge(bridge.name, bridge.mac, GROUP, filtered=bridge.filtered))
            messages.append(set_link(name=bridge.name, alias=self._alias, mtu=bridge.mtu))
        answers = self._visits.host.exchange(messages)
        for (position, bridge), made, marked in zip(wanted, answers[::2], answers[1::2], strict=True):
            outcomes[position] = self._created("bridge", bridge.name, made, marked)

    def _make_veths(
        self, wanted: list[tuple[int, Veth]], there: dict[str, Link], outcomes: list[Outcome]
    ) -> None:
        messages, sent = [], []
        for position, veth in wanted:
            try:
                namespace = self._visits.file(veth.namespace)
                master = self._bridge_index(veth, there)
            except (Fault, OSError) as error:
                outcomes[position] = _unready(veth, error)
                continue
            messages.append(_pair(veth, master, namespace))
            messages.append(set_link(name=veth.name, alias=self._alias))
            sent.append((position, veth))
        answers = self._visits.host.exchange(messages)
        if any(a.code == errno.EEXIST for a in answers[::2]) and self._reaper.pending():
            # a far end that awaits its deletion still holds its name inside the sandbox
            self._reaper.settle()
            for i in (i for i in range(0, len(answers), 2) if answers[i].code == errno.EEXIST):
                answers[i : i + 2] = self._visits.host.exchange(messages[i : i + 2])
        for (position, veth), made, marked in zip(sent, answers[::2], answers[1::2], strict=True):
            outcomes[position] = self._created("veth", veth.name, made, marked, veth)
        self._raise_peers([(p, v) for p, v in sent if outcomes[p] is True], outcomes)

    def _created(
        self, kind: str, name: str, made: Answer, marked: Answer, veth: Veth | None = None
    ) -> Outcome:
        """The outcome of creating and marking; what was made without its mark is deleted again."""
        if made.code == 0 and marked.code == 0:
            return True
        if made.code:
            if made.code == errno.EEXIST and not marked.code:
                # somebody else was faster since the look-up, and the mark went onto theirs
                self._visits.host.exchange([set_link(name=name, alias="")])
            return _refused(kind, name, made, veth)
        text = f"cannot set up {kind} {name}: {marked}"
        if link := self._visits.links(HOST, [name]).get(name):
            (deleted,) = self._visits.host.exchange([delete_link(link.index)])
            if deleted.code and not absent(deleted):
                text += f"; and deleting it again failed: {deleted}: it stays, without Fairway's mark"
        return System(text)

    def _raise_peers(self, made: list[tuple[int, Veth]], outcomes: list[Outcome]) -> None:
        inside: dict[str, list[tuple[int, Veth]]] = defaultdict(list)
        for position, veth in made:
            inside[veth.namespace].append((position, veth))
        for namespace, group in inside.items():
            messages = [set_link(name=veth.peer, up=True) for _, veth in group]
            try:
                answers = self._visits.channel(namespace).exchange(messages)
            except OSError as error:
                answers = [Answer(error.errno or errno.EIO)] * len(group)
            for (position, veth), answer in zip(group, answers, strict=True):
                if answer.code:
                    text = f"cannot bring up {veth.peer} in {namespace}: {answer}"
                    for left in self._withdraw([veth.name]):
                        if isinstance(left, Fault):
                            text += f"; and undoing failed: {left.message}"
                    outcomes[position] = System(text)

    def _bridge_index(self, veth: Veth, there: dict[str, Link]) -> int:
        bridge = there.get(veth.bridge)
        if bridge is None:
            raise System(f"cannot create veth {veth.name}: there is no bridge {veth.bridge}")
        return bridge.index

    def _converge(self, wanted: Bridge | Veth, link: Link, there: dict[str, Link]) -> Outcome:
        """Change a link of ours into what is wanted. Nothing to undo: it was there before."""
        if link.alias != self._alias:
            return Conflict(_taken(wanted.name))
        try:
            if isinstance(wanted, Bridge):
                if link.kind != "bridge":
                    return Conflict(_taken(wanted.name))
                self._change(HOST, link, wanted.mac, wanted.mtu)
                self._switch(wanted, link)
            else:
                self._converge_veth(wanted, link, there)
        except Fault as fault:
            return fault
        except FileNotFoundError as error:
            return _unready(wanted, error)
        return False

    def _switch(self, bridge: Bridge, link: Link) -> None:
        if bridge.filtered and not BRIDGE_NETFILTER.exists():
            raise _unfiltered(bridge)
        if bridge.filtered == link.filtered and not link.learns_locally:
            return
        if refusal := self._visits.send(HOST, set_bridge(link.index, filtered=bridge.filtered)):
            raise System(f"cannot change {bridge.name}: {refusal}")

    def _converge_veth(self, veth: Veth, link: Link, there: dict[str, Link]) -> None:
        far = self._visits.links(veth.namespace, [veth.peer]).get(veth.peer)
        if link.kind != "veth" or far is None or (far.index, far.peer) != (link.peer, link.index):
            raise Conflict(_taken(veth.name))
        master = self._bridge_index(veth, there)
        self._change(HOST, link, veth.mac, veth.mtu, master=master, group=veth.group)
        self._change(veth.namespace, far, veth.peer_mac, veth.mtu)

    def _change(
        self,
        namespace: str,
        link: Link,
        mac: Mac,
        mtu: int,
        *,
        master: int | None = None,
        group: int | None = None,
    ) -> None:
        message = set_link(
            index=link.index,
            up=True if not link.up else None,
            mac=mac if link.mac != mac else None,
            mtu=mtu if link.mtu != mtu else None,
            master=master if master != link.master else None,
            group=group if group != link.group else None,
        )
        if refusal := self._visits.send(namespace, message):
            raise System(f"cannot change {link.name}: {refusal}")


def _pair(veth: Veth, master: int, namespace: int) -> Message:
    return new_veth(
        veth.name,
        veth.mac,
        veth.mtu,
        master=master,
        group=veth.group,
        peer=veth.peer,
        peer_mac=veth.peer_mac,
        namespace=namespace,
    )


def _unfiltered(bridge: Bridge) -> Fault:
    return System(
        f"cannot separate the containers of bridge {bridge.name} (icc=false): bridged packets do not meet "
        "the firewall on this host; it needs CONFIG_BRIDGE_NETFILTER, try: modprobe br_netfilter"
    )


def _taken(name: str) -> str:
    return f"interface {name} exists already and is not the one that is asked for"


def _unready(link: Bridge | Veth, error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    namespace = link.namespace if isinstance(link, Veth) else HOST
    if isinstance(error, FileNotFoundError):
        return System(f"cannot create veth {link.name}: no such network namespace: {namespace}")
    return System(f"cannot create veth {link.name}: {error}")


def _refused(kind: str, name: str, answer: Answer, veth: Veth | None) -> Fault:
    if answer.code == errno.EEXIST:
        where = f" or {veth.peer} in {veth.namespace}" if veth else ""
        return Conflict(f"cannot create {kind} {name}: interface {name}{where} exists already")
    if answer.code == errno.EOPNOTSUPP:
        option = _OPTION[kind]
        return System(f"cannot create {kind} {name}: {answer}; this kernel needs {option} (modprobe {kind})")
    return System(f"cannot create {kind} {name}: {answer}")
