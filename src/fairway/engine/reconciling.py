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

Rejected: a lock on everything (a copy out of a container may hold its lock for minutes); to reconcile object
by object from events (what is nobody's belongs to no object, and lost events would be lost for good).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from fairway.engine.attachments import Attachments
from fairway.engine.core import Core
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.network_facts import network_facts
from fairway.model.container import Container
from fairway.model.difference import Difference
from fairway.model.errors import Fault, System
from fairway.model.network import Network
from fairway.plan import (
    EMPTY,
    Address,
    Element,
    Fact,
    Flows,
    Namespace,
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

    async def prepare(self) -> None:
        """Learn where root file systems belong; once, when a daemon starts."""
        for container in list(self._core.state.containers.values()):
            if container.state.active:
                await self._lifecycle.overlay(container)

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
            if sandbox and endpoint.id:
                facts += self._attachments.facts(state.networks[endpoint.network_id], endpoint, sandbox)
        return [fact for fact in dict.fromkeys(facts) if isinstance(fact, Sysctl)]

    async def look(self, *, wholly: bool = False) -> Findings:
        """Compare. ``wholly``: also what a container may have changed itself in its own namespace.

        Raises Fault if kernel or runtime cannot be asked. The plan is good for this moment: nothing may be
        awaited before it is handed to the kernel.
        """
        kernel = self._core.kernel
        rules = self._ruled and not await kernel.intact()
        differing = {identity(f): f.value for f in await kernel.differing(self._sysctls())}
        actual = await kernel.facts()
        namespaces = await self._lost_namespaces(actual)
        desired = self.desired()
        told = [_RULES] if rules else []
        if namespaces:
            told += [_missing(Namespace(path), desired.get(Namespace(path))) for path, _ in namespaces]
            return Findings(differences=tuple(told), rules=rules, namespaces=namespaces)
        lacking = _lacking(desired.keys() - actual, differing)
        if not wholly:
            lacking -= self._theirs(lacking, actual)
        busy = {fact for fact in lacking if self._busy(desired[fact])}
        missing = [fact for fact in desired if fact in lacking and fact not in busy] if lacking else []
        plan = difference(missing, self._surplus(desired, missing, actual - desired.keys()))
        told += _told(plan, desired, differing)
        return Findings(tuple(told), plan, rules, waiting=bool(busy))

    async def mend(self, *, wholly: bool = False) -> Outcome:
        """Look, and do what can be done. Raises Fault if nothing can be asked."""
        found: dict[Difference, None] = {}
        for _ in range(_ATTEMPTS):
            findings = await self.look(wholly=wholly)
            found |= dict.fromkeys(findings.differences)
            if not (findings.rules or findings.namespaces):
                faults = await self._core.kernel.withdraw(findings.plan) if findings.plan else ()
                return Outcome(tuple(found), tuple(faults), findings.waiting)
            if findings.rules:
                await self._core.kernel.install()
            for path, pid in findings.namespaces:
                await self._core.kernel.adopt(path, pid)
        return Outcome(tuple(found), (System("somebody else keeps changing what is being mended"),), True)

    @property
    def _ruled(self) -> bool:
        return self._core.settings.iptables or self._core.settings.ip6tables

    def _busy(self, owner: Owner) -> bool:
        kind = "network" if isinstance(owner, Network) else "container"
        return self._core.locks.busy(f"{kind}/{owner.id}")

    def _under_change(self) -> frozenset[Identity]:
        """What may hold, or not, of objects that somebody is changing."""
        state, core = self._core.state, self._core
        facts = [f for n in state.networks.values() if self._busy(n) for f in network_facts(n, core.settings)]
        for container in state.containers.values():
            if self._busy(container):
                facts += self._lifecycle.facts(container, mounted=True)
        return frozenset(map(identity, facts))

    def _surplus(
        self, desired: Iterable[Fact], missing: Iterable[Fact], surplus: Collection[Fact]
    ) -> list[Fact]:
        """What is to go of what holds and shall not: all but addresses and routes that somebody set in a
        living container's namespace, unless they are in the way."""
        if not surplus:
            return []
        alive = {fact.path for fact in desired if isinstance(fact, Namespace)}
        wanted, left = frozenset(map(identity, missing)), self._under_change()
        return [
            fact
            for fact in surplus
            if (key := identity(fact)) not in left
            and (key in wanted or not (isinstance(fact, Address | Route) and fact.namespace in alive))
        ]

    def _theirs(self, lacking: Iterable[Fact], actual: Iterable[Fact]) -> frozenset[Fact]:
        """Of what is missing what containers may have changed themselves, as they administer their network:
        addresses, routes and sysctls of interfaces that are there."""
        free = self._administered()
        if not free:
            return frozenset()
        there = {(f.namespace, f.peer) for f in actual if isinstance(f, Veth) and f.namespace in free}
        return frozenset(
            fact
            for fact in lacking
            if (isinstance(fact, Address | Route) and (fact.namespace, fact.link) in there)
            or (isinstance(fact, Sysctl) and fact.namespace in free)
        )

    def _administered(self) -> frozenset[str]:
        """Namespaces in which somebody may change the network from inside."""
        state = self._core.state
        return frozenset(
            sandbox.key
            for sandbox in state.sandboxes.values()
            if any(
                may_administer(c)
                for c in (state.owner(sandbox.id), *state.joined(sandbox.id))
                if c is not None
            )
        )

    async def _lost_namespaces(self, actual: Collection[Fact]) -> tuple[tuple[str, int], ...]:
        state = self._core.state
        lost = [sandbox for sandbox in state.sandboxes.values() if Namespace(sandbox.key) not in actual]
        if not lost:
            return ()
        running = await self._core.runtime.running()
        found = []
        for sandbox in lost:
            inhabitants = [c for c in (state.owner(sandbox.id), *state.joined(sandbox.id)) if c is not None]
            pid = next((running[c.id] for c in inhabitants if c.id in running and not self._busy(c)), None)
            if pid is not None:
                found.append((sandbox.key, pid))
        return tuple(found)


def may_administer(container: Container) -> bool:
    """Whether its processes may change the container's network: CAP_NET_ADMIN, not in Docker's default."""
    host = container.host
    given = {name.upper().removeprefix("CAP_") for name in host.cap_add}
    dropped = {name.upper().removeprefix("CAP_") for name in host.cap_drop}
    return host.privileged or "NET_ADMIN" in given or ("ALL" in given and "NET_ADMIN" not in dropped)


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
