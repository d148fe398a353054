"""The verbs of networks: create, remove, connect, disconnect, prune."""

from collections.abc import Sequence

import msgspec

from fairway.drivers import find
from fairway.drivers.options import wants
from fairway.engine import predefined
from fairway.engine.attachments import families
from fairway.engine.connecting import Connecting
from fairway.engine.core import Core
from fairway.engine.network_facts import network_facts
from fairway.engine.obstacles import Obstacles
from fairway.engine.teardown import record, withdraw_wholly
from fairway.model.address import Cidr
from fairway.model.container import Container
from fairway.model.errors import Conflict, Fault, Forbidden, InvalidParameter, NotFound
from fairway.model.network import Endpoint, EndpointRequest, Network, Pool
from fairway.model.request import NetworkRequest, PoolRequest, PruneFilter
from fairway.plan import Plan, establish, withdraw


class Networks:
    def __init__(self, core: Core, connecting: Connecting, obstacles: Obstacles) -> None:
        self._core = core
        self._obstacles = obstacles
        self._connecting = connecting

    # Looking.

    def all(self) -> Sequence[Network]:
        return sorted(self._core.state.networks.values(), key=lambda n: n.name)

    def find(self, reference: str) -> Network:
        return self._core.state.network(reference)

    def attached(self, network_id: str) -> Sequence[tuple[Container, Endpoint]]:
        """Members with an endpoint now, i.e. of running containers."""
        return [(c, e) for c, e in self._core.state.members(network_id) if e.id]

    def in_use(self, network_id: str) -> bool:
        return bool(self.attached(network_id))

    async def warnings(self, network: Network) -> Sequence[str]:
        """What stops the network's traffic, and how to remedy it."""
        return await self._obstacles.of(network)

    # Creating and removing.

    async def create(self, request: NetworkRequest) -> tuple[Network, str]:
        """A new network, there in the kernel when this returns; the second part is a warning or empty."""
        driver = find(request.driver)
        self._check(request)
        if driver.single:
            raise Forbidden(f'only one instance of "{request.driver}" network is allowed')
        request = self._with_defaults(self._with_configuration(request))
        occupied = await self._core.kernel.occupied()
        if self._core.state.network_named(request.name):
            raise Conflict(f"network with name {request.name} already exists")
        network = self._build(request, occupied)
        await self._establish(network)
        return network, "\n".join(await self._obstacles.of_new(network))

    async def remove(self, reference: str) -> None:
        network = self.find(reference)
        if network.name in predefined.NAMES:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        async with self._core.locks.hold(f"network/{network.id}"):
            network = self.find(network.id)
            active = [f'name:"{c.name}" id:"{e.id[:12]}"' for c, e in self.attached(network.id)]
            if active:
                raise Forbidden(
                    f"error while removing network: network {network.name} has active endpoints "
                    f"({', '.join(active)})"
                )
            users = [n.name for n in self.all() if n.config_from == network.name]
            if network.config_only and users:
                raise Forbidden(f"configuration network {network.name!r} is in use by {', '.join(users)}")
            stale = [e for _, e in self._core.state.members(network.id)]
            await self._core.state.commit(delete=[network, *stale])
            await withdraw_wholly(
                self._core, withdraw(network_facts(network, self._core.settings)), network.name
            )
            self._core.ipam.remove(network.id)
        self._core.events.network(network, "destroy")

    async def prune(self, which: PruneFilter) -> Sequence[str]:
        """Remove networks that no running container uses; returns their names."""
        removed = []
        for network in self.all():
            if network.name in predefined.NAMES or self.in_use(network.id):
                continue
            if not which.admits(network.labels, network.created):
                continue
            try:
                await self.remove(network.id)
            except (Forbidden, NotFound):  # taken into use, or removed by someone else, meanwhile
                continue
            except Fault as fault:  # as in Docker, the others go all the same
                self._core.log.warning("cannot prune a network", network=network.name, error=fault.message)
                continue
            removed.append(network.name)
        return removed

    async def _establish(self, network: Network) -> None:
        state = self._core.state
        async with self._core.locks.hold(f"network/{network.id}"):
            if not network.config_only:
                self._core.ipam.add(network)
            try:
                await state.commit(network, begin=network)
            except BaseException:
                self._core.ipam.remove(network.id)
                raise
            plan = Plan()
            try:
                wanted = establish(network_facts(network, self._core.settings))
                await self._core.kernel.apply(wanted)
                plan = wanted
                await state.commit(end=network)
            except BaseException:
                self._core.doubt.set()
                await withdraw_wholly(self._core, plan.inverse(), network.name)
                stale = [e for _, e in state.members(network.id)]
                self._core.ipam.remove(network.id)
                await record(self._core, delete=[network, *stale], end=network)
                raise
        self._core.events.network(network, "create")

    def _check(self, request: NetworkRequest) -> None:
        if not request.name.strip():
            raise InvalidParameter("invalid network name: name is empty")
        if not request.name.isprintable() or "/" in request.name or len(request.name) > 255:
            raise InvalidParameter(
                f"invalid network name {request.name!r}: use up to 255 printable characters without a slash"
            )
        if request.name in (*predefined.NAMES, "default", "container"):
            if self._core.state.network_named(request.name):
                raise Conflict(f"network with name {request.name} already exists")
            raise Forbidden(f"operation is not permitted on predefined {request.name} network")
        if request.ingress or request.scope == "swarm":
            raise Forbidden("This node is not a swarm manager: only a manager makes networks of scope swarm")
        if request.scope not in ("", "local"):
            raise InvalidParameter(f"invalid scope {request.scope!r}: use local")
        if request.ipam_driver not in ("", "default"):
            raise NotFound(
                f"could not find plugin {request.ipam_driver} in v1 plugin registry: "
                f'plugin "{request.ipam_driver}" not found'
            )
        if request.config_only and request.config_from:
            raise InvalidParameter("a configuration network cannot depend on another one")

    def _with_configuration(self, request: NetworkRequest) -> NetworkRequest:
        """Fill in from the ``--config-only`` network that the request names (API ``ConfigFrom``)."""
        if not request.config_from:
            return request
        source = self._core.state.network_named(request.config_from)
        if source is None or not source.config_only:
            raise NotFound(f"configuration network {request.config_from!r} not found")
        if request.pools or request.options or request.labels or request.ipv6 is not None or request.internal:
            raise Forbidden(
                "user supplied configuration conflicts with the one of the configuration network "
                f"{request.config_from!r}: leave out subnets, options, labels, --ipv6 and --internal"
            )
        return msgspec.structs.replace(
            request,
            ipv4=source.ipv4,
            ipv6=source.ipv6,
            internal=source.internal,
            pools=tuple(
                PoolRequest(subnet=p.subnet, ip_range=p.ip_range, gateway=p.gateway, auxiliary=p.auxiliary)
                for p in source.pools
            ),
            ipam_options=source.ipam_options,
            options=source.options,
            labels=source.labels,
        )

    def _with_defaults(self, request: NetworkRequest) -> NetworkRequest:
        """Options that the daemon gives to networks of a driver (``--default-network-opt``), asked for less
        than the request's own; ``--ipv4`` and ``--ipv6`` may be among them."""
        defaults = self._core.settings.default_network_options.get(request.driver, {})
        if request.config_only:
            defaults = {}
        options = {**defaults, **request.options}
        ipv4 = request.ipv4 if request.ipv4 is not None else wants(options, 4)
        ipv6 = request.ipv6 if request.ipv6 is not None else wants(options, 6)
        if ipv4 is False and ipv6 is not True:
            raise InvalidParameter("IPv4 or IPv6 must be enabled")
        return msgspec.structs.replace(request, options=options, ipv4=ipv4, ipv6=ipv6)

    def _build(self, request: NetworkRequest, occupied: Sequence[Cidr]) -> Network:
        """Choose what the request leaves open. Synchronous, so that the choice holds until committed."""
        network_id = self._core.identity.id()
        ipv4, ipv6 = request.ipv4 is not False, bool(request.ipv6)
        network = Network(
            id=network_id,
            name=request.name,
            driver=request.driver,
            created=self._core.clock.now(),
            internal=request.internal,
            attachable=request.attachable,
            ipv4=ipv4,
            ipv6=ipv6,
            config_from=request.config_from,
            ipam_options=request.ipam_options,
            static=any(p.subnet for p in request.pools),
            options=request.options,
            labels=request.labels,
        )
        if request.config_only:
            return msgspec.structs.replace(
                network, driver="null", config_only=True, pools=_as_given(request.pools)
            )
        driver = find(request.driver)
        settings = driver.options(request, network_id)
        if settings:
            predefined.check_bridge_name(self._core, settings, network_id)
        pools: tuple[Pool, ...] = ()
        if driver.interfaces:
            pools = self._core.ipam.plan_pools(request.pools, families(network), occupied)
        return msgspec.structs.replace(network, pools=pools, bridge=settings)

    # Connecting and disconnecting.

    async def connect(self, network: str, container: str, request: EndpointRequest) -> None:
        await self._connecting.connect(network, container, request)

    async def disconnect(self, network: str, container: str, force: bool) -> None:
        await self._connecting.disconnect(network, container, force)


def _as_given(requests: Sequence[PoolRequest]) -> tuple[Pool, ...]:
    """Pools of a configuration network: nothing is chosen yet, so each must name its subnet."""
    pools = []
    for request in requests:
        if request.subnet is None:
            raise InvalidParameter(
                "invalid IPAM configuration: each entry of a configuration network needs a subnet"
            )
        pools.append(
            Pool(
                subnet=request.subnet,
                gateway=request.gateway,
                ip_range=request.ip_range,
                auxiliary=request.auxiliary,
            )
        )
    return tuple(pools)
