"""Bringing memory, store and kernel together at start: the same code for a first start, a restart, a crash.

Operations that nobody was told about are rolled back; then the kernel is led from what it holds to what the
state wants, in one plan. Containers that ended meanwhile are seen to as if they had just ended.
"""

import msgspec

from fairway.drivers import find
from fairway.engine.core import Core
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.naming import Naming
from fairway.model.container import Container
from fairway.model.errors import Fault
from fairway.plan import Fact, Step, difference


class Restore:
    def __init__(self, core: Core, lifecycle: Lifecycle, naming: Naming) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._naming = naming

    async def roll_back(self) -> None:
        """Undo in the state what no client was told of; the reconciliation then undoes it in the kernel."""
        state = self._core.state
        for intent in state.intents():
            self._core.log.info(
                "rolling back an operation that was interrupted", kind=intent.kind, id=intent.id
            )
            if intent.kind == "network" and intent.id in state.networks:
                await state.commit(delete=[state.networks[intent.id]])
            elif intent.kind == "endpoint" and intent.id in state.endpoints:
                await state.commit(delete=[state.endpoints[intent.id]])
            elif intent.kind == "container" and intent.id in state.containers:
                await self._take_back_start(state.containers[intent.id])
        await state.forget_intents()

    async def _take_back_start(self, container: Container) -> None:
        core = self._core
        await core.runtime.kill(container.id, 9)
        await core.runtime.delete(container.id)
        sandbox = core.state.sandboxes.get(container.sandbox)
        idle = [
            msgspec.structs.replace(e, id="", addresses=(), previous=e.addresses or e.previous)
            for e in core.state.endpoints_of(container.id)
        ]
        status = "created" if not container.state.started else "exited"
        state = msgspec.structs.replace(container.state, status=status, pid=0)
        new = msgspec.structs.replace(container, sandbox="", state=state, ports=())
        await core.state.commit(new, *idle, delete=[sandbox] if sandbox else [])

    def reserve(self) -> None:
        """Take into the address book what the state says is in use."""
        for network in self._core.state.networks.values():
            if not network.config_only:
                self._core.ipam.add(network)
        for endpoint in self._core.state.endpoints.values():
            for address in endpoint.addresses:
                self._core.ipam.reserve(self._core.state.networks[endpoint.network_id], address)
        for container in self._core.state.containers.values():
            self._lifecycle.ports.hold(container.id, container.ports)

    async def desired(self) -> list[Fact]:
        """Everything that shall hold in the kernel."""
        state = self._core.state
        facts: list[Fact] = []
        for network in state.networks.values():
            facts += find(network.driver).network(network)
        for container in state.containers.values():
            if container.state.status in ("running", "paused"):
                await self._lifecycle.overlay(container)
                facts += self._lifecycle.facts(container)
        return facts

    async def reconcile(self) -> list[Step]:
        """Lead the kernel to the desired state; returns what had to be done.

        What fails is logged and left: one broken network must not keep the others down.
        """
        plan = difference(await self.desired(), await self._core.kernel.facts())
        if plan.steps:
            self._core.log.info("bringing the kernel in line with the state", steps=len(plan))
            for fault in await self._core.kernel.withdraw(plan):
                self._core.log.warning("while reconciling", error=fault.message)
        return list(plan.steps)

    async def resume(self) -> None:
        """Watch containers that still run, and see to those that ended while nobody looked."""
        core = self._core
        running = await core.runtime.running()
        for container in list(core.state.containers.values()):
            if container.state.status in ("running", "paused"):
                if container.id not in running:
                    core.log.info("a container ended meanwhile", container=container.name)
                self._lifecycle.watch(container)
            elif container.state.status == "restarting" or (
                container.state.status == "exited" and container.host.restart_policy.name == "always"
            ):
                await self._start_again(container)
        await self._naming.publish_all()

    async def _start_again(self, container: Container) -> None:
        async with self._core.locks.hold(f"container/{container.id}"):
            try:
                await self._lifecycle.start(container)
            except Fault as e:
                self._core.log.warning(
                    "cannot restart a container", container=container.name, error=e.message
                )
