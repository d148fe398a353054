"""The engine's state machine (``unit/engine/test_machine.py``) on the real kernel, in a namespace of its own.

Namespaces, links, addresses, routes, elements, ports and overlay mounts are real; processes, names and files
are those of the unit tests, so that a step takes milliseconds. Random operations, refusals and kills; after
each, what the kernel holds is exactly what the state says.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine
from msgspec.structs import replace

from fairway.firewall.guard import RULES
from fairway.firewall.ruleset import RULESET
from fairway.kernel import dump
from fairway.kernel.linux import LinuxKernel
from fairway.model.errors import Fault
from fairway.model.image import RootFilesystem
from fairway.plan import Fact, Step
from fairway.store.memory import MemoryStore
from faults.schedule import ALL
from netns_host import NetnsHost, netns_host
from unit.engine.test_machine import CLOSED, Machine
from unit.engine.world import FakeImages, World

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]


class RealKernel(LinuxKernel):
    """With what the machine asks of the kernel in memory: a step that fails, and a look without waiting."""

    rules = True
    _disturbances: tuple[str, ...] = ()

    def __init__(self, host: NetnsHost) -> None:
        super().__init__(
            "machine",
            ruleset=RULESET + RULES,
            namespaces=host.namespaces,
            mounts=[str(host.root)],
            listeners=host.listeners,
            ports=host.ports,
            host_namespace=host.file,
        )
        self.fail: Callable[[Step], Fault | None] | None = None
        self._take = self._executor.take
        self._executor.take = self._take_or_fail  # type: ignore[method-assign]

    def _take_or_fail(self, steps: Sequence[Step]) -> Sequence[bool | Fault]:
        if self.fail is None:
            return self._take(steps)
        outcomes: list[bool | Fault] = []
        for step in steps:
            fault = self.fail(step)
            outcomes += [fault] if fault else self._take([step])
        return outcomes

    @property
    def _facts(self) -> frozenset[Fact]:
        look = lambda: dump.facts(self._executor, self._alias, self._namespaces, self._mounts)  # noqa: E731
        return self._worker.submit(self._guarded, look).result()


class Directories(FakeImages):
    """Root file systems that can be mounted."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    async def prepare(self, container: str, image: str) -> RootFilesystem:
        self.prepared.add(container)
        paths = [str(self._root / container[:12] / name) for name in ("root", "lower", "upper", "work")]
        for path in paths:
            os.makedirs(path, exist_ok=True)
        return RootFilesystem(target=paths[0], lower=(paths[1],), upper=paths[2], work=paths[3])


class RealWorld(World):
    async def quiet(self) -> None:
        """As the kernel works in threads, time has to pass."""
        still = 0
        for _ in range(5000):
            await asyncio.sleep(0.001)
            still = still + 1 if self._is_quiet() else 0
            if still == 10:
                return
        raise AssertionError(f"it never ends: {[str(t) for t in asyncio.all_tasks()]}")


class RealMachine(Machine):
    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self._stack = contextlib.ExitStack()
        root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-machine-")))
        host = self._stack.enter_context(netns_host(root))
        self.loop = asyncio.new_event_loop()
        self.store = MemoryStore()
        kernel: Any = RealKernel(host)
        self._real, self.kernel = kernel, kernel
        self.loop.run_until_complete(kernel.install())
        own = replace(CLOSED, exec_root=str(root / "run"), data_root=str(root))
        self.world = RealWorld(self.store, self.kernel, mortal=True, settings=own)
        self.world.images = Directories(root / "images")
        self.world.engine = self.world._engine(seed=1)

    def teardown(self) -> None:
        self.loop.run_until_complete(self.world.engine.close())
        self.loop.run_until_complete(self._real.close())
        self.loop.close()
        self._stack.close()

    # What others do to the kernel is tested by ``scenarios/test_healing.py``.

    def resolver_dies(self) -> None:
        """Not a rule here."""

    def somebody_else_changes_something(self) -> None:
        """Not a rule here."""

    def a_daemon_finds_things_changed(self) -> None:
        """Not a rule here."""


def test_a_walk() -> None:
    """The short one: a fixed sequence in one world, where Hypothesis begins anew for each example."""
    random, machine = Random(20), RealMachine()
    steps: tuple[Callable[[], None], ...] = (
        lambda: machine.something(random),
        lambda: machine.several_at_once(random, random.randint(2, 6)),
        lambda: machine.kernel_refuses(random, random.randrange(12), random.randint(1, 3)),
        lambda: machine.daemon_is_killed(random, random.randint(1, 60), random.randint(1, 4)),
    )
    try:
        machine.begin()
        for _ in range(10):
            for step in steps:
                step()
                machine.nothing_is_lost_and_nothing_is_left()
    finally:
        machine.teardown()


if ALL:
    TestRealMachine = RealMachine.TestCase
    TestRealMachine.settings = settings(
        max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
