"""Random operations with random failures of kernel and runtime, several at once, and daemons that die.

Whatever happens, the state, the address book, the kernel, the resolver and the runtime tell the same story as
soon as nothing is under way. After a failure while something is taken back the kernel may keep a remainder;
the next start of the daemon clears it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Literal, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairway.engine import names
from fairway.engine.engine import Engine
from fairway.engine.settings import DefaultBridge, Settings
from fairway.engine.state import State
from fairway.ipam.subnets import DEFAULT_POOLS
from fairway.kernel.fake import FakeKernel
from fairway.model.address import Cidr, host
from fairway.model.container import Config, Container, HostConfig, PortBinding, RestartPolicy
from fairway.model.errors import Fault, System
from fairway.model.network import EndpointRequest
from fairway.model.request import ContainerRequest, NetworkRequest, PoolRequest
from fairway.plan import Element, Namespace, Overlay, Resolver, Step, Sysctl
from fairway.store.memory import MemoryStore
from unit.engine.world import OBJECTS, Inline, World

HOST_PORTS = ("", "8080", "8081", "8081-8082", "8083")
"""On 8083 a process of the host listens."""
NETWORKS = ("n1", "n2", "n3")
CONTAINERS = ("c1", "c2", "c3", "c4")
LINKS = {"c4": ("c3:a",), "c2": ("c3:a", "c4:b")}
"""Of containers of these names on the default bridge, whose containers reach each other by links only."""
CLOSED = Settings(
    id="0123456789",
    exec_root="/run/x",
    data_root="/data",
    address_pools=DEFAULT_POOLS,
    default_bridge=DefaultBridge(icc=False),
)
Policy = Literal["no", "always", "on-failure", "unless-stopped"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
networks = st.sampled_from(NETWORKS)
containers = st.sampled_from(CONTAINERS)
randoms = st.randoms(use_true_random=True)  # seeded; the other kind may end an example between two draws
modes = st.sampled_from([*NETWORKS, "bridge", "none", "host", *(f"container:{c}" for c in CONTAINERS)])


async def attempt(verb: Awaitable[Any]) -> None:
    """It may be refused; an error that is no fault is a defect."""
    with contextlib.suppress(Fault):
        await verb


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(Inline())
        self.store = MemoryStore()
        self.kernel = FakeKernel(objects=OBJECTS)
        self.kernel._sysctls["", "net/ipv4/ip_local_port_range"] = "32768\t32771"
        self.kernel._sysctls["", "net/ipv6/conf/all/disable_ipv6"] = "0"
        self.kernel.foreign_ports.add(("tcp", 8083))
        self.world = World(self.store, self.kernel, mortal=True, settings=CLOSED)

    def teardown(self) -> None:
        self.loop.run_until_complete(self.world.engine.close())
        self.loop.close()

    # Doing.

    def do(self, *verbs: Awaitable[Any]) -> None:
        """All at once; until nothing moves any more."""

        async def all_() -> None:
            await asyncio.gather(*map(attempt, verbs))
            await self.world.quiet()

        self.loop.run_until_complete(all_())

    @property
    def engine(self) -> Engine:
        return self.world.engine

    @property
    def state(self) -> State:
        return self.world.core.state

    @initialize()
    def begin(self) -> None:
        self.do(self.engine.start())
        self.do(self._create_network("n1", True, False), self._create_network("n2", False, False))
        self.do(self._run("c1", "n1", "no", False), self._run("c2", "n2", "always", False))
        self.do(self._run("c3", "bridge", "no", False))
        self.do(self._run("c4", "bridge", "always", False))

    # What users do.

    def _create_network(self, name: str, fixed: bool, internal: bool) -> Awaitable[Any]:
        pools = (PoolRequest(subnet=Cidr(f"10.{name[1]}.0.0/29")),) if fixed else ()
        return self.engine.networks.create(NetworkRequest(name=name, pools=pools, internal=internal))

    async def _create(
        self, name: str, mode: str, policy: Policy, auto_remove: bool, published: str | None = None
    ) -> str:
        bindings = () if published is None else (PortBinding(host_port=published),)
        host = HostConfig(
            network_mode=mode,
            links=LINKS.get(name, ()) if mode == "bridge" else (),
            port_bindings={} if mode.startswith("container:") else {"80/tcp": bindings},
            restart_policy=RestartPolicy(name=policy, maximum_retry_count=2 if policy == "on-failure" else 0),
            auto_remove=auto_remove and policy == "no",
        )
        exposed: dict[str, dict[str, Any]] = {} if mode.startswith("container:") else {"80/tcp": {}}
        config = Config(image="busybox", exposed_ports=exposed, volumes={"/data": {}})
        request = ContainerRequest(name=name, config=config, host=host)
        container, _ = await self.engine.containers.create(request)
        return container.id

    async def _run(
        self, name: str, mode: str, policy: Policy, auto_remove: bool, published: str | None = None
    ) -> None:
        await self.engine.containers.start(await self._create(name, mode, policy, auto_remove, published))

    def _update(self, name: str, random: Random) -> Awaitable[Any]:
        """Ports, so few that they clash, and now and then limits."""
        bindings = {
            f"{inside}/tcp": tuple(
                PortBinding(host_ip=random.choice(["", "127.0.0.1"]), host_port=random.choice(HOST_PORTS))
                for _ in range(random.randrange(3))
            )
            for inside in random.sample([80, 81], random.randint(1, 2))
        }
        changes = HostConfig(port_bindings=bindings, cpu_shares=random.choice([0, random.randrange(2, 9)]))
        return self.engine.containers.update(name, changes)

    def _verb(self, random: Random) -> Awaitable[Any]:
        container, network, policy = (
            random.choice(CONTAINERS),
            random.choice(NETWORKS),
            random.choice(POLICIES),
        )
        mode = random.choice([*NETWORKS, *NETWORKS, "bridge", "none", "container:c1", "container:c2"])
        published = random.choice([None, None, *HOST_PORTS])
        verbs: list[Callable[[], Awaitable[Any]]] = [
            lambda: self.engine.containers.start(container),
            lambda: self.engine.containers.stop(container, 0, ""),
            lambda: self.engine.containers.restart(container, 0, ""),
            lambda: self.engine.containers.kill(container, "KILL"),
            lambda: self.engine.containers.pause(container),
            lambda: self.engine.containers.unpause(container),
            lambda: self.engine.containers.rename(container, random.choice(CONTAINERS)),
            *[lambda: self._update(container, random)] * 3,
            lambda: self.engine.containers.remove(
                container, volumes=True, force=random.random() < 0.5, link=False
            ),
            lambda: self.engine.networks.connect(
                network, container, EndpointRequest(gw_priority=random.randrange(3))
            ),
            lambda: self.engine.networks.disconnect(network, container, False),
            lambda: self.engine.networks.connect("bridge", container, EndpointRequest()),
            lambda: self.engine.networks.disconnect("bridge", container, False),
            lambda: self.engine.containers.remove(f"{container}/a", volumes=False, force=False, link=True),
            lambda: self.engine.networks.remove(network),
            lambda: self._create_network(network, random.random() < 0.5, random.random() < 0.3),
            lambda: self._create(container, mode, policy, random.random() < 0.3),
            *[lambda: self._run(container, mode, policy, random.random() < 0.3, published)] * 5,
            lambda: self.engine.copying.describe(container, "/etc"),
        ]
        return random.choice(verbs)()

    @rule(name=networks, fixed=st.booleans(), internal=st.booleans())
    def create_network(self, name: str, fixed: bool, internal: bool) -> None:
        self.do(self._create_network(name, fixed, internal))

    @rule(name=containers, mode=modes, policy=st.sampled_from(POLICIES), auto_remove=st.booleans())
    def run(self, name: str, mode: str, policy: Policy, auto_remove: bool) -> None:
        self.do(self._run(name, mode, policy, auto_remove))

    @rule(network=networks, container=containers, priority=st.integers(0, 2))
    def connect(self, network: str, container: str, priority: int) -> None:
        self.do(self.engine.networks.connect(network, container, EndpointRequest(gw_priority=priority)))

    @rule(random=randoms)
    def something(self, random: Random) -> None:
        self.do(self._verb(random))

    @rule(random=randoms, count=st.integers(2, 6))
    def several_at_once(self, random: Random, count: int) -> None:
        self.do(*(self._verb(random) for _ in range(count)))

    @rule(name=containers, code=st.sampled_from([0, 1]))
    def process_ends(self, name: str, code: int) -> None:
        container = self.state.container_named(name)
        end = self.world.runtime.ends.get(container.id) if container else None
        if container and end and not end.done():
            self.world.runtime.end(container.id, code)
        self.do()

    # What goes wrong.

    @rule(random=randoms, after=st.integers(0, 12), count=st.integers(1, 3))
    def kernel_refuses(self, random: Random, after: int, count: int) -> None:
        """One step of whatever is done next."""
        left = after

        def fail(step: Step) -> Fault | None:
            nonlocal left
            left -= 1
            if left != -1:
                return None
            return System(f"the kernel refuses {type(step.fact).__name__}")

        self.kernel.fail = fail
        self.do(*(self._verb(random) for _ in range(count)))
        self.kernel.fail = None

    @rule(random=randoms, where=st.sampled_from(["create", "start", "update", "freeze"]))
    def runtime_refuses(self, random: Random, where: str) -> None:
        setattr(self.world.runtime, f"fail_{where}", System("the runtime refuses"))
        self.do(*(self._verb(random) for _ in range(2)))
        setattr(self.world.runtime, f"fail_{where}", None)
        self.do()

    @rule(random=randoms)
    def resolver_dies(self, random: Random) -> None:
        self.world.resolver.dead = True
        self.do(self._verb(random), self._verb(random))
        self.world.resolver.come_back()
        for fact in self.loop.run_until_complete(self.kernel.facts()):
            if isinstance(fact, Resolver):
                self.kernel.lose(fact)
        self.do(self.engine.resolver_lost())

    @rule(random=randoms, harms=st.integers(1, 4), verbs=st.integers(0, 3))
    def somebody_else_changes_something(self, random: Random, harms: int, verbs: int) -> None:
        """While operations are under way or not, with a daemon that sees it or comes after it."""

        async def harm() -> None:
            for _ in range(harms):
                for _ in range(random.randrange(20)):
                    await asyncio.sleep(0)
                self._harm(random)

        self.do(harm(), *(self._verb(random) for _ in range(verbs)))

    def _harm(self, random: Random) -> None:
        kernel = self.kernel
        facts = sorted(kernel._facts, key=repr)
        if self.world.core.locks._locks:  # a container that is being started may need these at this moment
            facts = [fact for fact in facts if not isinstance(fact, Namespace | Overlay)]
        sysctls = sorted((f for f in self.world.reconciler.desired() if isinstance(f, Sysctl)), key=repr)
        match random.randrange(4):
            case 0 if sysctls:
                wish = random.choice(sysctls)
                kernel._sysctls[wish.namespace, wish.key] = "9"
                kernel.disturb("a sysctl was changed")
            case 1:
                kernel.rules = False
                for fact in facts:
                    if isinstance(fact, Element):
                        kernel.lose(fact)
            case _ if facts:
                kernel.lose(random.choice(facts))

    @rule(random=randoms)
    def a_daemon_finds_things_changed(self, random: Random) -> None:
        async def away() -> None:
            await self.world.engine.close()
            self._harm(random)
            await self._start_again()

        self.do(away())

    @rule()
    def daemon_restarts(self) -> None:
        self.do(self._restart())

    @rule(random=randoms, steps=st.integers(1, 60), count=st.integers(1, 4))
    def daemon_is_killed(self, random: Random, steps: int, count: int) -> None:
        """In the midst of operations, after so many turns of its loop."""

        async def cut() -> None:
            started = [asyncio.ensure_future(attempt(self._verb(random))) for _ in range(count)]
            for _ in range(steps):
                await asyncio.sleep(0)
            await self.world.kill()
            assert all(task.done() for task in started)

        self.loop.run_until_complete(cut())
        self.do(self._start_again())

    async def _restart(self) -> None:
        await self.world.engine.close()
        await self._start_again()

    async def _start_again(self) -> None:
        await self.world.start_again()

    # What must hold.

    @invariant()
    def nothing_is_lost_and_nothing_is_left(self) -> None:
        self.loop.run_until_complete(self._check())

    async def _check(self) -> None:
        state, core = self.state, self.world.core
        assert not [key for key in self.store._rows if key[1].startswith("intent/")]
        assert not core.locks._locks
        stored = {key for key in self.store._rows if key[0] != "meta"}
        assert stored == {(kind, id_) for kind, table in state._tables.items() for id_ in table}
        active = {c.id: c for c in state.containers.values() if c.state.status in ("running", "paused")}
        assert set(await self.world.runtime.running()) == set(active)
        assert set(await self.world.runtime.kept()) == set(active)
        for container in state.containers.values():
            assert state.container_named(container.name) == container
            assert bool(container.joined) <= (container.id in active)
            assert not (container.sandbox and container.joined)
        joined = {c.joined for c in active.values()}
        owners = {c.id: c for c in state.containers.values() if c.sandbox}
        assert {c.sandbox for c in owners.values()} == set(state.sandboxes)
        assert len(owners) == len(state.sandboxes)
        assert all(c.id in active or c.sandbox in joined for c in owners.values())
        for endpoint in state.endpoints.values():
            assert bool(endpoint.id) == (endpoint.container_id in {*active, *owners}), endpoint
            assert bool(endpoint.addresses) <= bool(endpoint.id)
            assert endpoint.container_id in state.containers
            assert endpoint.network_id in state.networks
        assert set(state.host_interfaces) == {e.host_interface for e in state.endpoints.values()} - {""}
        assert self.world.images.prepared <= set(state.containers)
        assert self.world.runtime.frozen == {c.id for c in active.values() if c.state.status == "paused"}
        assert self.world.files.volumes == set(state.volumes)
        assert set(state.volumes) == {m.name for c in state.containers.values() for m in c.mounts if m.name}
        assert set(self.engine._lifecycle._overlays) <= set(state.containers)
        self._check_addresses()
        self._check_names(owners)
        self._check_ports()
        self._check_links(active)
        desired = self.world.reconciler.desired()
        assert await self.kernel.facts() == {f for f in desired if not isinstance(f, Sysctl)}
        assert not await self.kernel.differing([f for f in desired if isinstance(f, Sysctl)])
        assert self.kernel.rules

    def _check_addresses(self) -> None:
        """An address is taken exactly if an endpoint has it."""
        ipam = self.world.core.ipam
        assert set(ipam._allocators) == {n.id for n in self.state.networks.values() if not n.config_only}
        for network in self.state.networks.values():
            held = [
                a for e in self.state.endpoints.values() if e.network_id == network.id for a in e.addresses
            ]
            assert len(held) == len(set(held))
            pairs = ipam._allocators.get(network.id, ())
            taken = sum(w.bit_count() for _, allocator in pairs for w in allocator._used._levels[0].values())
            assert taken == len(held) + 3 * len(pairs), "network, broadcast and gateway are always taken"

    def _check_links(self, active: dict[str, Container]) -> None:
        """Whoever runs with a link finds its target in hosts, as long as that runs and both are attached."""
        bridge = self.state.network_named("bridge")
        assert bridge
        for linker in active.values():
            for link in linker.links:
                here = self.state.endpoint(linker.id, bridge.id)
                there = self.state.endpoint(link.target, bridge.id)
                if here and there and link.target in active:
                    line = f"{host(there.addresses[0])}\t{link.alias} "
                    assert line in self.world.files.texts[linker.id, "hosts"]

    def _check_ports(self) -> None:
        """The book of host ports has what the containers publish, and nothing else."""
        published = {
            (p.protocol, p.host_port, p.host_address): c.id
            for c in self.state.containers.values()
            for p in c.ports
        }
        book = {
            (*place, address): owner
            for place, holders in self.world.core_ports._held.items()
            for address, owner in holders.items()
        }
        assert book == published
        assert sum(len(c.ports) for c in self.state.containers.values()) == len(published)

    def _check_names(self, owners: dict[str, Container]) -> None:
        resolver = self.world.resolver
        zones = [zone for c in owners.values() if (zone := names.zone(self.state, c, ()))]
        assert resolver.zones == {zone.sandbox: zone for zone in zones if zone.sandbox}
        for zone in resolver.zones.values():
            for network_id in zone.networks:
                table = names.network_names(self.state, self.state.networks[network_id])
                assert resolver.networks[network_id] == table


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
