"""The three networks that every engine starts with (R47), and how ``bridge`` follows the daemon's options.

``host`` and ``none`` are made once. ``bridge`` is worked out anew at each start, from the options and from
what the host has, and replaces what the store kept: only its id, its members, and subnets that were chosen
automatically stay, so that no address of an earlier start comes back (D50). While a container runs on it, it
stays as it is, as in Docker with live restore.

This happens in the state, before the kernel is brought in line with that: a bridge with another name or
address is then one of the differences that ``restore`` sees to.
"""

import ipaddress
from collections.abc import Mapping, Sequence

import msgspec

from fairway.drivers import find
from fairway.engine.attachments import Attachments
from fairway.engine.core import Core
from fairway.engine.network_facts import network_facts
from fairway.model.address import Address, Cidr, Family, contains, family, host
from fairway.model.errors import Fault, Forbidden, InvalidParameter
from fairway.model.network import DEFAULT_GATEWAY, SPOOF_GUARD, BridgeOptions, Network
from fairway.model.request import NetworkRequest, PoolRequest
from fairway.plan import Address as AddressFact
from fairway.plan import Bridge, establish

NAMES = ("bridge", "host", "none")
DOCKER0, FAIRWAY0 = "docker0", "fairway0"
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
_FAULT = 'Error initializing network controller: error creating default "bridge" network: '


class Predefined:
    def __init__(self, core: Core, attachments: Attachments) -> None:
        self._core = core
        self._attachments = attachments
        self.notes: tuple[str, ...] = ()
        """What an administrator should know about the default network."""

    async def settle(self) -> None:
        """Bring state and address book in line with the options. Raises Fault with dockerd's texts."""
        try:
            await self._settle_bridge()
        except Fault as fault:
            raise type(fault)(_FAULT + fault.message) from fault
        for name, driver in (("host", "host"), ("none", "null")):
            if not self._core.state.network_named(name):
                network = Network(
                    id=self._core.identity.id(), name=name, driver=driver, created=self._core.clock.now()
                )
                await self._core.state.commit(network)
                self._core.ipam.add(network)

    async def check(self) -> None:
        """Without its default network no daemon starts; one that containers run on already goes on."""
        network = self._core.state.network_named("bridge")
        if network is None or await self._users(network):
            return
        facts = network_facts(network, self._core.settings)
        links = [fact for fact in facts if isinstance(fact, Bridge | AddressFact)]
        try:
            await self._core.kernel.apply(establish(links))
        except Fault as fault:
            raise type(fault)(_FAULT + fault.message) from fault

    async def _settle_bridge(self) -> None:
        core = self._core
        old = core.state.network_named("bridge")
        wanted = await self._wanted(old) if core.settings.default_bridge.enabled else None
        if wanted == old:
            return
        if old and (users := await self._users(old)):
            core.log.warning(
                "there are running containers, updated network configuration will not take affect",
                network="bridge",
                containers=", ".join(users),
            )
            return
        members = [endpoint for _, endpoint in core.state.members(old.id)] if old else []
        if old:
            core.ipam.remove(old.id)
        if wanted is None:
            await core.state.commit(delete=[*([old] if old else []), *members])
            return
        # What the store takes to be attached ended while nobody looked: it has no address any more.
        idle = [self._attachments.idle(endpoint) for endpoint in members]
        await core.state.commit(wanted, *idle)
        core.ipam.add(wanted)

    async def _users(self, network: Network) -> list[str]:
        """Names of containers in whose sandbox, on the network, a process exists, whatever the store says."""
        running, state = await self._core.runtime.running(), self._core.state
        inhabited = {c.joined or c.sandbox for c in state.containers.values() if c.id in running}
        return [c.name for c, e in state.members(network.id) if e.id and c.sandbox in inhabited]

    async def _wanted(self, old: Network | None) -> Network:
        core, bridge = self._core, self._core.settings.default_bridge
        device, foreign = await self._device()
        addresses = await self._foreign_addresses(device) if foreign else bridge.addresses
        kinds: tuple[Family, ...] = (4, 6) if bridge.ipv6 else (4,)
        occupied = await core.kernel.occupied()
        requests = [
            self._pool(kind, addresses.get(kind), self._automatic(old, kind), occupied, old) for kind in kinds
        ]
        options = self._options(device)
        id_ = old.id if old else core.identity.id()
        settings = find("bridge").options(NetworkRequest(name="bridge", options=options), id_)
        assert isinstance(settings, BridgeOptions)
        settings = msgspec.structs.replace(settings, foreign=foreign)
        check_bridge_name(core, settings, id_)
        return Network(
            id=id_,
            name="bridge",
            driver="bridge",
            created=old.created if old else core.clock.now(),
            ipv6=bridge.ipv6,
            static=4 in addresses or 4 in bridge.ranges,
            options=options,
            pools=core.ipam.plan_pools(requests, kinds, occupied, instead_of=id_),
            bridge=settings,
        )

    def _options(self, device: str) -> dict[str, str]:
        """As Docker's inspect shows them; ours if the daemon gives it to all networks."""
        settings = self._core.settings
        given = settings.default_network_options.get("bridge", {})
        prefix = "com.docker.network.bridge"
        return {
            f"{prefix}.default_bridge": "true",
            f"{prefix}.enable_icc": str(settings.default_bridge.icc).lower(),
            f"{prefix}.enable_ip_masquerade": str(settings.default_bridge.masquerade).lower(),
            f"{prefix}.host_binding_ipv4": settings.host_address or "0.0.0.0",
            f"{prefix}.name": device,
            "com.docker.network.driver.mtu": str(settings.mtu),
        } | {key: given[key] for key in (SPOOF_GUARD,) if key in given}

    async def _device(self) -> tuple[str, bool]:
        """The bridge's name, and whether it is the administrator's."""
        asked = self._core.settings.default_bridge.device
        owned = (await self._core.kernel.interfaces()).get(asked or DOCKER0)
        if asked not in ("", DOCKER0):
            if owned is not False:
                raise InvalidParameter(
                    f"bridge device with non default name {asked} must be created manually"
                )
            return asked, True
        if owned is not False:
            return DOCKER0, False
        if asked:
            return DOCKER0, True
        note = f"{DOCKER0} belongs to another program; the default bridge is {FAIRWAY0}"
        self._core.log.warning(note)
        self.notes = (note,)
        return FAIRWAY0, False

    async def _foreign_addresses(self, device: str) -> dict[Family, Cidr]:
        """Of the administrator's bridge, one a family: the one that a fixed range lies in, else the first."""
        bridge = self._core.settings.default_bridge
        there = await self._core.kernel.bridge_addresses(device)
        if there is None:
            raise InvalidParameter(f"interface {device} is not a bridge")
        found: dict[Family, Cidr] = {}
        kinds: tuple[Family, ...] = (4, 6) if bridge.ipv6 else (4,)
        for kind in kinds:
            usable = [a for a in there if family(a) == kind and not _link_local(a)]
            if not usable:
                raise InvalidParameter(
                    f"bridge {device} has no IPv{kind} address: give it one, for example with "
                    f"ip address add {'192.168.5.1/24' if kind == 4 else 'fd00:5::1/64'} dev {device}"
                )
            inside = bridge.ranges.get(kind)
            fits = [a for a in usable if inside and contains(_network(a), host(inside))]
            found[kind] = (fits or usable)[0]
        return found

    def _automatic(self, old: Network | None, kind: Family) -> Cidr | None:
        """The subnet that was chosen at an earlier start, if the pools still offer it."""
        for pool in old.pools if old else ():
            chosen = not (kind == 4 and old and old.static)
            if family(pool.subnet) == kind and chosen and self._core.ipam.offers(pool.subnet):
                return pool.subnet
        return None

    def _pool(
        self,
        kind: Family,
        address: Cidr | None,
        previous: Cidr | None,
        occupied: Sequence[Cidr],
        old: Network | None,
    ) -> PoolRequest:
        bridge = self._core.settings.default_bridge
        inside = bridge.ranges.get(kind)
        subnet = _network(address) if address else inside or previous
        if subnet is None:
            subnet = self._core.ipam.choose(kind, occupied, instead_of=old.id if old else "")
        if inside and bridge.device and not contains(subnet, host(inside)):
            if kind == 6:
                raise InvalidParameter(
                    f"fixed-cidr-v6={inside} is outside any subnet implied by addresses on the user-managed "
                    "default bridge"
                )
            self._core.log.warning(
                "fixed-cidr is outside any subnet implied by addresses on the user-managed default bridge, "
                "it is ignored",
                bridge=bridge.device,
                fixed_cidr=inside,
            )
            inside = None
        auxiliary: Mapping[str, Address] = (
            {DEFAULT_GATEWAY[kind]: bridge.gateways[kind]} if kind in bridge.gateways else {}
        )
        return PoolRequest(
            subnet=subnet,
            ip_range=inside,
            gateway=host(address) if address else None,
            auxiliary=dict(auxiliary),
        )


def check_bridge_name(core: Core, settings: BridgeOptions, network_id: str) -> None:
    """Raises Forbidden with Docker's text when another network than this has a bridge of that name."""
    for other in core.state.networks.values():
        if other.id != network_id and other.bridge and other.bridge.bridge == settings.bridge:
            raise Forbidden(
                f"conflicts with network {other.id} ({other.name}): "
                f"networks have same bridge name {settings.bridge}"
            )


def _network(address: Cidr) -> Cidr:
    return Cidr(str(ipaddress.ip_interface(address).network))


def _link_local(address: Cidr) -> bool:
    found = ipaddress.ip_interface(address).ip
    return isinstance(found, ipaddress.IPv6Address) and found in _LINK_LOCAL
