"""What shall hold in the kernel against what does: compared, told in words, and mended.

One mechanism for a start after whatever happened, for changes that somebody else makes while the daemon runs
(``healing``), and for who asks (``doctor``). It looks at levels, never at what was changed: what is missing
is made, what is too much goes, what differs is changed in place, and all else is left alone.

    look    ruleset as written? → sysctls → what holds → (nothing is awaited from here on) what shall hold
            → the plan that leads there
    mend    rules, namespaces that lost their file, then look again → plan

It takes no locks, and so waits for nobody. That is safe because whoever changes what shall hold changes the
state first and tells the kernel afterwards, and the kernel takes plans in order: a plan made from the state
of this moment is overtaken by nothing, and whatever is changed from now on comes behind it. Left out is what
belongs to objects under change (``Locks.busy``): they may be taking back what the state does not tell yet.
As long as any is, what is too much is left, too: it may be what they had, or will have again.

Rejected: a lock on everything (a copy out of a container may hold its lock for minutes); to reconcile object
by object from events (what is nobody's belongs to no object, and lost events would be lost for good).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from fairway.engine.attachments import Attachments
from fairway.engine.core import Core
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.network_facts import network_facts
from fairway.model.container import Container
from fairway.model.difference import Difference
from fairway.model.errors import Fault, System
from fairway.model.network import Network, Sandbox
from fairway.plan import (
    EMPTY,
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Flows,
    Namespace,
    Overlay,
    Plan,
    Route,
    Sysctl,
    Veth,
    describe,
    difference,
    identity,
)

Owner = Network | Container
Identity = tuple[str, ...]

_ATTEMPTS = 5
_RULES = Difference(kind="host", text="rules of the firewall table are missing or changed")


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look found."""

    differences: tuple[Difference, ...] = ()
    plan: Plan = EMPTY
    """What mends them once rules and namespaces are as they should be."""
    rules: bool = False
    """The firewall's rules are to be written anew."""
    namespaces: tuple[tuple[str, int], ...] = ()
    """Files that keep their namespace no more, each with a process that is still in it. Nothing else can be
    said, or done, before they do."""
    waiting: bool = False
    """Something was left out because somebody is changing it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found and, but for the faults, mended."""

    differences: tuple[Difference, ...] = ()
    faults: tuple[Fault, ...] = ()
    waiting: bool = False
    """See ``Findings``."""


class Reconciler:
    def __init__(self, core: Core, lifecycle: Lifecycle, attachments: Attachments) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._attachments = attachments
        self._unprepared = False
        """It is not known of all mounts whether they are wanted."""

    async def prepare(self) -> None:
        """Learn where root file systems belong; once, when a daemon starts."""
        for container in list(self._core.state.containers.values()):
            if container.state.active:
                try:
                    await self._lifecycle.overlay(container)
                except Fault as fault:
                    self._unprepared = True
                    self._core.log.warning(
                        "a root file system is not known", container=container.name, error=fault.message
                    )

    def desired(self) -> dict[Fact, Owner]:
        """Everything that shall hold, with whom it is for, in an order in which it can be established.

        Without what the kernel does not report: connections; elements, where there is no table for them.
        """
        core, state = self._core, self._core.state
        unreported = Flows if self._ruled else (Flows, Element)
        facts: dict[Fact, Owner] = {}
        for network in state.networks.values():
            for fact in network_facts(network, core.settings):
                if not isinstance(fact, unreported):
                    facts.setdefault(fact, network)
        for container in state.containers.values():
            for fact in self._lifecycle.facts(container):
                if not isinstance(fact, unreported):
                    facts.setdefault(fact, container)
        return facts

    def _sysctls(self) -> list[Sysctl]:
        """Those that shall hold. Not by way of all that shall, which 10,000 ports make long."""
        core, state = self._core, self._core.state
        facts = [
            fact for network in state.networks.values() for fact in network_facts(network, core.settings)
        ]
        for endpoint in state.endpoints.values():
            sandbox = state.sandboxes.get(state.containers[endpoint.container_id].sandbox)
            if sandbox and endpoint.id and not self._asked_for_sysctls(sandbox):
                facts += self._attachments.facts(state.networks[endpoint.network_id], endpoint, sandbox)
        return [fact for fact in dict.fromkeys(facts) if isinstance(fact, Sysctl)]

    async def look(
        self, *, wholly: bool = False, starting: bool = False, without: Collection[str] = ()
    ) -> Findings:
        """Compare. ``wholly``: also what a container may have changed itself in its own namespace;
        ``starting``: also addresses on bridges, which an earlier daemon may have left; but ``without`` the
        sandboxes of these files.

        Raises Fault if kernel or runtime cannot be asked. The plan is good for this moment: nothing may be
        awaited before it is handed to the kernel.
        """
        kernel = self._core.kernel
        rules = self._ruled and not await kernel.intact()
        differing = {identity(f): f.value for f in await kernel.differing(self._sysctls())}
        actual = await kernel.facts()
        running: Mapping[str, int] = {}
        if self._lost(actual, without):
            running = await self._core.runtime.running()
            actual = await kernel.facts()
        namespaces = tuple(self._inhabited(self._lost(actual, without), running))
        desired = self.desired()
        told = [_RULES] if rules else []
        if namespaces:
            told += [_missing(Namespace(path), desired.get(Namespace(path))) for path, _ in namespaces]
            return Findings(differences=tuple(told), rules=rules, namespaces=namespaces)
        lacking = _lacking(desired.keys() - actual, differing)
        surplus = actual - desired.keys()
        left = self._under_change(without) if lacking or surplus else frozenset()
        if not wholly:
            theirs = self._theirs(lacking, actual, desired)
            lacking -= theirs
            renamed = {fact.name for fact in theirs if isinstance(fact, Veth)}
            surplus = frozenset(f for f in surplus if not (isinstance(f, Veth) and f.name in renamed))
        busy = {fact for fact in lacking if identity(fact) in left}
        missing = [fact for fact in desired if fact in lacking and fact not in busy] if lacking else []
        others = self._others(surplus, desired, starting=starting)
        extra, waiting = self._surplus(missing, surplus, others, left)
        plan = difference(missing, extra)
        told += _told(plan, desired, differing)
        return Findings(tuple(told), plan, rules, waiting=bool(busy) or waiting)

    async def mend(self, *, wholly: bool = False, starting: bool = False) -> Outcome:
        """Look (see there), and do what can be done. Raises Fault if nothing can be asked."""
        found: dict[Difference, None] = {}
        unkept: dict[str, Fault] = {}
        for _ in range(_ATTEMPTS):
            findings = await self.look(wholly=wholly, starting=starting, without=unkept)
            found |= dict.fromkeys(findings.differences)
            if not (findings.rules or findings.namespaces):
                faults = await self._core.kernel.withdraw(findings.plan) if findings.plan else ()
                return Outcome(tuple(found), (*unkept.values(), *faults), findings.waiting)
            if findings.rules:
                await self._core.kernel.install()
            for path, pid in findings.namespaces:
                try:
                    await self._core.kernel.adopt(path, pid)
                except Fault as fault:  # others must not go without
                    unkept[path] = fault
        return Outcome(tuple(found), (System("somebody else keeps changing what is being mended"),), True)

    @property
    def _ruled(self) -> bool:
        return self._core.settings.iptables or self._core.settings.ip6tables

    def _busy(self, owner: Owner, without: Collection[str] = ()) -> bool:
        """Whether somebody is changing the object, or a container in the same sandbox."""
        busy, state = self._core.locks.busy, self._core.state
        if isinstance(owner, Network):
            return busy(f"network/{owner.id}")
        sandbox = state.sandboxes.get(owner.sandbox)
        if sandbox is None:
            return busy(f"container/{owner.id}")
        return sandbox.key in without or any(
            busy(f"container/{each.id}") for each in state.inhabitants(sandbox.id)
        )

    def _under_change(self, without: Collection[str]) -> frozenset[Identity]:
        """What may hold, or not, of objects that somebody is changing, or looking into."""
        state, core = self._core.state, self._core
        facts = [f for n in state.networks.values() if self._busy(n) for f in network_facts(n, core.settings)]
        for container in state.containers.values():
            if self._busy(container, without) or self._lifecycle.looking.looked_into(container.id):
                facts += self._lifecycle.facts(container, mounted=True)
        return frozenset(map(identity, facts))

    def _others(self, surplus: Iterable[Fact], desired: Iterable[Fact], *, starting: bool) -> frozenset[Fact]:
        """Of what holds and shall not what is nobody's to take away: addresses and routes that somebody set
        on a bridge of ours or in a living container's namespace, mounts of which nothing is known."""
        alive = {fact.path for fact in desired if isinstance(fact, Namespace)}
        bridges = {fact.name for fact in desired if isinstance(fact, Bridge)}
        found: set[Fact] = set()
        for fact in surplus:
            match fact:
                case Address() | Route() if fact.namespace in alive:
                    found.add(fact)
                case Route() | Address() if fact.namespace == HOST and fact.link in bridges:
                    if not (starting and isinstance(fact, Address)):
                        found.add(fact)
                case Overlay() if self._unprepared:
                    found.add(fact)
        return frozenset(found)

    def _surplus(
        self,
        missing: Iterable[Fact],
        surplus: Iterable[Fact],
        others: Collection[Fact],
        left: frozenset[Identity],
    ) -> tuple[list[Fact], bool]:
        """What is to go of what holds and shall not, and whether something has to wait.

        What is in the way goes, if somebody else's or not; the rest waits while anybody changes anything.
        """
        wanted, changing = frozenset(map(identity, missing)), self._core.locks.changing()
        going, waiting = [], False
        for fact in surplus:
            key = identity(fact)
            if key in left:
                waiting = True
            elif key in wanted or (fact not in others and not changing):
                going.append(fact)
            elif fact not in others:
                waiting = True
        return going, waiting

    def _theirs(
        self, lacking: Iterable[Fact], actual: Iterable[Fact], desired: Iterable[Fact]
    ) -> frozenset[Fact]:
        """Of what is missing what containers may have changed themselves, as they administer their network:
        addresses, routes and sysctls of interfaces that are there, and what these are called."""
        free = self._administered()
        if not free:
            return frozenset()
        there = {f.name: f for f in actual if isinstance(f, Veth) and f.namespace in free}
        ours = {(f.namespace, f.peer): f.name for f in desired if isinstance(f, Veth) and f.namespace in free}
        found: set[Fact] = set()
        for fact in lacking:
            match fact:
                case Address() | Route() if ours.get((fact.namespace, fact.link)) in there:
                    found.add(fact)
                case Sysctl() if ours.get((fact.namespace, fact.key.split("/")[-2])) in there:
                    found.add(fact)
                case Veth() if (held := there.get(fact.name)) and _same_outside(held, fact):
                    found.add(fact)
        return frozenset(found)

    def _administered(self) -> frozenset[str]:
        """Namespaces in which somebody may change the network from inside."""
        state = self._core.state
        return frozenset(
            sandbox.key
            for sandbox in state.sandboxes.values()
            if any(map(may_administer, state.inhabitants(sandbox.id)))
        )

    def _asked_for_sysctls(self, sandbox: Sandbox) -> bool:
        """Whether somebody in the sandbox asked for sysctls of the network, which the runtime sets after us.

        One of all interfaces changes every one's.
        """
        inhabitants = self._core.state.inhabitants(sandbox.id)
        return any(key.startswith("net.") for each in inhabitants for key in each.host.sysctls)

    def _lost(self, actual: Collection[Fact], without: Collection[str]) -> list[Sandbox]:
        """Sandboxes whose file keeps no namespace."""
        sandboxes = self._core.state.sandboxes.values()
        return [s for s in sandboxes if s.key not in without and Namespace(s.key) not in actual]

    def _inhabited(
        self, sandboxes: Iterable[Sandbox], running: Mapping[str, int]
    ) -> Iterator[tuple[str, int]]:
        """Of the sandboxes' files those of whose containers one has a process, and that."""
        for sandbox in sandboxes:
            inhabitants = self._core.state.inhabitants(sandbox.id)
            pid = next((running[c.id] for c in inhabitants if c.id in running), None)
            if pid is not None and not self._busy(inhabitants[0]):
                yield sandbox.key, pid


def may_administer(container: Container) -> bool:
    """Whether its processes may change the container's network: CAP_NET_ADMIN, not in Docker's default."""
    host = container.host
    given = {name.upper().removeprefix("CAP_") for name in host.cap_add}
    dropped = {name.upper().removeprefix("CAP_") for name in host.cap_drop}
    return host.privileged or "NET_ADMIN" in given or ("ALL" in given and "NET_ADMIN" not in dropped)


def _same_outside(held: Veth, wanted: Veth) -> bool:
    """Whether they differ in nothing but what is to be seen inside the container."""
    return msgspec.structs.replace(held, peer=wanted.peer, peer_mac=wanted.peer_mac, mtu=wanted.mtu) == wanted


def _lacking(absent: Collection[Fact], differing: Collection[Identity]) -> set[Fact]:
    """Of what was not reported that which does not hold: sysctls never are."""
    return {fact for fact in absent if not isinstance(fact, Sysctl) or identity(fact) in differing}


def _told(plan: Plan, desired: Mapping[Fact, Owner], values: Mapping[Identity, str]) -> Iterator[Difference]:
    """The plan's steps in words. What goes and comes again under one identity is one difference."""
    comes = {identity(step.fact): step.fact for step in plan if step.present}
    goes = {identity(step.fact) for step in plan if not step.present}
    for step in plan:
        fact, key = step.fact, identity(step.fact)
        if step.present and isinstance(fact, Sysctl):
            held = values.get(key) or "not there"
            yield _difference(desired[fact], f"{describe(fact)} is {held} instead of {fact.value}")
        elif step.present and key in goes:
            yield _difference(desired[fact], f"{describe(fact)} is not as it should be")
        elif step.present:
            yield _missing(fact, desired[fact])
        elif key not in comes and not isinstance(fact, Flows):
            yield _difference(None, f"{describe(fact)} is left over")


def _missing(fact: Fact, owner: Owner | None) -> Difference:
    return _difference(owner, f"{describe(fact)} is missing")


def _difference(owner: Owner | None, text: str) -> Difference:
    if owner is None:
        return Difference(kind="host", text=text)
    kind: Literal["network", "container"] = "network" if isinstance(owner, Network) else "container"
    return Difference(kind=kind, id=owner.id, name=owner.name, text=text)
