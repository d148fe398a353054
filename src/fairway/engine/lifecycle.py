"""A container's life from start to exit: sandbox, process, names, and everything taken back afterwards.

    start    reserve endpoints → commit → kernel: mount, namespace, links, routes, resolver → files
             → names → runtime creates → attach → runtime starts → commit "running"
    exit     commit "exited", endpoints idle → kernel withdraws → names → restart policy, auto-remove

All of it runs under the container's lock. A start that fails anywhere is taken back wholly. Taking back goes
on to the end whatever fails on the way, and is recorded in the state before kernel and runtime are told: a
daemon killed in between finds it there.
"""

import re
from collections.abc import Awaitable, Callable

import msgspec

from fairway.engine.attachments import Attachments
from fairway.engine.connecting import Connecting
from fairway.engine.core import Core
from fairway.engine.dependence import in_need_of
from fairway.engine.entering import Entering
from fairway.engine.health import HealthMonitor
from fairway.engine.launching import Launching
from fairway.engine.links import Links, environment
from fairway.engine.looking import Looking
from fairway.engine.naming import Naming
from fairway.engine.publishing import Publishing
from fairway.engine.sharing import Sharing
from fairway.engine.streams import PendingStreams
from fairway.engine.tasks import Tasks
from fairway.engine.teardown import record, withdraw_wholly
from fairway.engine.waiters import Waiters
from fairway.model.container import Container, Exit, State
from fairway.model.errors import Conflict, Fault, NotFound
from fairway.model.network import Network
from fairway.plan import Fact, Overlay, Plan, difference, establish, withdraw

LOST = 255
"""Docker's exit code of a container whose exit nobody saw."""
RESTART_DELAY = 0.1
RESTART_DELAY_MAX = 60.0
RESTART_RESET = 10.0
"""A container that ran this long (s) restarts without delay again (Docker's restart manager)."""


class Lifecycle:
    """Starts containers and sees to it when they end."""

    def __init__(
        self,
        core: Core,
        attachments: Attachments,
        naming: Naming,
        connecting: Connecting,
        publishing: Publishing,
        waiters: Waiters,
    ) -> None:
        self._core = core
        self._attachments = attachments
        self._naming = naming
        self._waiters = waiters
        self._pending: dict[str, list[PendingStreams]] = {}
        self._tasks = Tasks(core.log)
        self._launching = Launching(core, connecting.write_resolv_conf)
        self._overlays: dict[str, Overlay] = {}
        self.looking = Looking(core, self.overlay, self._unmount)
        self.health = HealthMonitor(core)
        self.publishing = publishing
        self.ports = publishing.ports
        self.links = Links(core)
        self.sharing = Sharing(core, attachments, naming, self.ports, self._tasks)
        self._entering = Entering(core, attachments, connecting, publishing, self._launching, self.sharing)
        self.auto_remove: Callable[[Container], Awaitable[None]] | None = None
        self.staying: set[str] = set()
        """Containers being restarted by a user: their exit removes nothing."""

    # Starting.

    def pending_streams(self, container_id: str) -> PendingStreams:
        """Streams for a container that has not started."""
        streams = PendingStreams()
        waiting = self._pending.setdefault(container_id, [])
        waiting[:] = [*(each for each in waiting if not each.over), streams]
        return streams

    async def start(self, container: Container) -> None:
        """Start it; the caller holds its lock. On failure it is as before, but for its error text."""
        try:
            await self._start(container)
        except BaseException as e:
            await self._failed(container, str(e) or "the start was interrupted")
            raise

    async def _start(self, container: Container) -> None:
        core, state = self._core, self._core.state
        self._launching.check_peer(container)  # raises before anything is taken
        environment(state, container)  # so does this
        kept = {e.id for e in state.endpoints_of(container.id) if e.id}
        entry = await self._entering.enter(container)
        container = entry.container
        sandbox = state.sandboxes.get(container.sandbox)
        try:
            overlay = await self.overlay(container)
            if sandbox:
                await self._naming.publish(container)

            def wanted(container: Container) -> Plan:
                facts = self._network_facts(container)
                surplus = frozenset(entry.facts).difference(facts)
                return difference((), surplus) + establish((overlay, *facts))

            container, plan = await self.publishing.apply(container, wanted)
            await self.links.settle(container, plan.facts())
            launch = await self._launching.prepare(container, overlay.target)
            self.links.introduce(container)
            pid = await core.runtime.create(launch)
            try:
                await self._bind_streams(container)
                await core.runtime.start(container.id)
                running = State(
                    status="running",
                    pid=pid,
                    started=core.clock.now(),
                    restart_count=container.state.restart_count,
                )
                container = msgspec.structs.replace(container, state=running)
                await state.commit(container, end=container)
                await self._bind_streams(container)  # of those who attached while it was being started
            except BaseException:
                await self._clear(container)
                raise
        except BaseException:
            await self._entering.leave(entry)
            await self._unmount(container)
            raise
        self.ports.release(container.id, entry.ports, container.ports)
        for network, endpoint in state.attachments(container.id):
            if endpoint.id not in kept:
                core.events.network(network, "connect", container.id)
        core.events.container(container, "start")
        self.watch(container)

    async def overlay(self, container: Container) -> Overlay:
        """The container's root file system as a fact; its directories exist afterwards."""
        root = await self._core.images.prepare(container.id, container.image)
        overlay = Overlay(target=root.target, lower=root.lower, upper=root.upper, work=root.work)
        self._overlays[container.id] = overlay
        return overlay

    async def _bind_streams(self, container: Container) -> None:
        pending = self._pending.get(container.id, [])
        while pending:  # one at a time, so that a failure still finds those left, to end them
            streams = await self._core.runtime.attach(container.id)
            pending.pop(0).bind(streams)
        self._pending.pop(container.id, None)

    async def _failed(self, container: Container, reason: str) -> None:
        """Keep the reason where inspect shows it; exit codes as Docker sets them."""
        for streams in self._pending.pop(container.id, ()):
            streams.abandon()
        code = exit_code_of_failure(reason)
        current = self._core.state.containers.get(container.id)
        if current is None:
            return
        if current.sandbox and not self.sharing.sharers(current.sandbox):  # nobody is left in a kept one
            await self.sharing.release(current)
            current = self._core.state.containers[container.id]
        state = msgspec.structs.replace(current.state, exit_code=code, error=reason)
        if state.status != "created":
            state = msgspec.structs.replace(state, status="exited", pid=0)
        failed = msgspec.structs.replace(current, state=state, joined="")
        await record(self._core, failed, *self._core.state.endpoints_of(container.id), end=failed)
        self.sharing.left(current.joined)
        self._waiters.exited(container.id, Exit(code=code, finished=self._core.clock.now()))

    # Freezing.

    async def freeze(self, container: Container, *, frozen: bool) -> None:
        """Freeze or thaw a running container; the caller holds its lock. On failure it is as before."""
        core = self._core
        state = msgspec.structs.replace(container.state, status="paused" if frozen else "running")
        await core.state.commit(
            msgspec.structs.replace(container, state=state), begin=container, before=container
        )
        try:
            await (core.runtime.pause if frozen else core.runtime.resume)(container.id)
            await core.state.commit(end=container)
        except BaseException as e:
            await record(core, container, end=container)
            if not isinstance(e, Conflict):  # which says that it has ended
                await self.settle_freezer(container)
            raise

    async def settle_freezer(self, container: Container) -> None:
        """Have the processes of a container that runs frozen exactly if the state says so."""
        runtime = self._core.runtime
        try:
            await (runtime.pause if container.state.status == "paused" else runtime.resume)(container.id)
        except Conflict:  # ended meanwhile
            return
        except Fault as fault:
            self._core.log.warning(
                "cannot freeze or thaw a container", container=container.name, error=fault.message
            )

    # Ending.

    def watch(self, container: Container) -> None:
        """See to the container's exit, whenever it comes."""
        self._tasks.spawn(container.id, lambda: self._watch(container.id))
        self.health.start(container)

    async def _watch(self, container_id: str) -> None:
        try:
            exit_ = await self._core.runtime.wait(container_id)
        except NotFound:  # the runtime lost it, with its exit code
            exit_ = Exit(code=LOST, finished=self._core.clock.now())
        async with self._core.locks.hold(f"container/{container_id}"):
            container = self._core.state.containers.get(container_id)
            if container and container.state.running:
                await self.ended(container, exit_)

    async def ended(self, container: Container, exit_: Exit) -> None:
        """Take everything back after the process has ended; the caller holds the lock."""
        core = self._core
        self.health.stop(container.id)
        joined, old = container.joined, container.state
        restart = self._restart_delay(container, exit_)
        state = State(
            status="restarting" if restart is not None else "exited",
            exit_code=exit_.code,
            oom_killed=exit_.oom_killed,
            started=old.started,
            finished=exit_.finished,
            restart_count=old.restart_count + (restart is not None),
            stopped_by_user=old.stopped_by_user,
        )
        container = msgspec.structs.replace(container, state=state, joined="")
        networks: list[Network] = []
        if self.sharing.sharers(container.sandbox):
            await record(core, container)
        else:
            networks = await self.sharing.release(container)
            container = core.state.containers[container.id]
        await self._clear(container)
        await self._unmount(container)
        self.sharing.left(joined)
        if exit_.oom_killed:
            core.events.container(container, "oom")
        duration = (exit_.finished - old.started) // 1_000_000_000
        core.events.container(container, "die", execDuration=str(max(0, duration)), exitCode=str(exit_.code))
        for network in networks:
            core.events.network(network, "disconnect", container.id)
        self._waiters.exited(container.id, exit_)
        if restart is not None:
            self._tasks.spawn(container.id, lambda: self._restart_later(container.id, restart))
        elif container.host.auto_remove and self.auto_remove and container.id not in self.staying:
            await self.auto_remove(container)

    def facts(self, container: Container, *, mounted: bool = False) -> tuple[Fact, ...]:
        """Everything that shall hold in the kernel of this container; ``mounted`` counts its root file system
        in whether anybody needs it now or not."""
        mounted = mounted or container.state.active
        overlay = self._overlays.get(container.id) if mounted else None
        return (*((overlay,) if overlay else ()), *self._network_facts(container))

    def _network_facts(self, container: Container) -> tuple[Fact, ...]:
        sandbox = self._core.state.sandboxes.get(container.sandbox)
        return self._attachments.sandbox_facts(container, sandbox) if sandbox else ()

    def _restart_delay(self, container: Container, exit_: Exit) -> float | None:
        """Seconds until the restart that the policy wants, None for none."""
        state = container.state
        if not self._restarts(container, exit_.code):
            return None
        if exit_.finished - state.started > RESTART_RESET * 1e9:
            return RESTART_DELAY
        return float(min(RESTART_DELAY * 2**state.restart_count, RESTART_DELAY_MAX))

    def _restarts(self, container: Container, code: int) -> bool:
        policy, state = container.host.restart_policy, container.state
        if state.stopped_by_user:
            return False
        if policy.name == "on-failure":
            most = policy.maximum_retry_count
            return code != 0 and (not most or state.restart_count < most)
        return policy.name in ("always", "unless-stopped")

    def comes_back(self, container: Container) -> bool:
        """Whether one that does not run is started with the daemon: ``always`` even if a user stopped it."""
        state = container.state
        if state.status == "exited":
            always = container.host.restart_policy.name == "always"
            return always or self._restarts(container, state.exit_code)
        return state.status == "restarting"

    async def come_back(self, container: Container) -> None:
        """Start it soon, after those that it needs: they may be about to start, too."""
        state = msgspec.structs.replace(container.state, status="restarting")
        await record(self._core, msgspec.structs.replace(container, state=state))
        self._tasks.spawn(container.id, lambda: self._restart_later(container.id, 0))

    async def _restart_later(self, container_id: str, delay: float) -> None:
        await self._core.clock.sleep(delay)
        while self._waits(container_id):
            await self._core.clock.sleep(RESTART_DELAY)
        async with self._core.locks.hold(f"container/{container_id}"):
            container = self._core.state.containers.get(container_id)
            if container is None or container.state.status != "restarting":
                return
            try:
                await self.start(container)
            except Fault as e:
                self._core.log.warning(
                    "cannot restart a container", container=container.name, error=e.message
                )

    def _waits(self, container_id: str) -> bool:
        """Whether those that the container needs are about to restart, too, as after a reboot of the host."""
        state = self._core.state
        container = state.containers.get(container_id)
        if container is None or container.state.status != "restarting":
            return False
        others = in_need_of(state, container)
        return container_id not in others and any(o.state.status == "restarting" for o in others.values())

    async def cancel_restart(self, container: Container) -> Container:
        """A stop while waiting for a restart: it stays exited. The caller holds the lock."""
        state = msgspec.structs.replace(container.state, status="exited", stopped_by_user=True)
        container = msgspec.structs.replace(container, state=state)
        await self._core.state.commit(container)
        return container

    async def _unmount(self, container: Container) -> None:
        if overlay := self._overlays.get(container.id):
            await withdraw_wholly(self._core, withdraw([overlay]), container.name)

    async def _clear(self, container: Container) -> None:
        """Nothing of the container's process, ended or not, stays with the runtime."""
        try:
            await self._core.runtime.delete(container.id)
        except Fault as fault:
            self._core.log.warning(
                "the runtime keeps something of a container", container=container.name, error=fault.message
            )

    async def publish(self, container: Container) -> None:
        """The container goes by another name now."""
        if container.sandbox:
            await self._naming.republish(container)

    def forget(self, container_id: str) -> None:
        """The container was removed."""
        for streams in self._pending.pop(container_id, ()):
            streams.abandon()
        self._overlays.pop(container_id, None)
        self.links.forget(container_id)
        self.health.forget(container_id)

    async def close(self) -> None:
        """Stop looking after containers; they go on."""
        await self.health.close()
        await self._tasks.close()


def exit_code_of_failure(message: str) -> int:
    """The exit code of a process that could not be started (Docker's rule, after the shell's)."""
    if re.search(r"executable file not found|no such file or directory", message):
        return 127
    return 126 if "permission denied" in message else 128
