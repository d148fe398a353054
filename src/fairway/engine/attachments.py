"""Endpoints: taking and giving back what an attachment needs, and the facts of a whole sandbox.

``reserve`` and ``release`` are synchronous: between a look at the state and the reservation nothing can
happen, so two operations never get the same address, interface or host name.
"""

import msgspec

from fairway.drivers import find
from fairway.drivers.bridge import endpoint_mac
from fairway.drivers.options import interface_name
from fairway.drivers.routes import gateway_endpoint, outward
from fairway.drivers.sysctls import interface_sysctls
from fairway.engine.core import Core
from fairway.engine.links import elements, parse_link
from fairway.engine.names import resolves
from fairway.model.address import Address, Cidr, Family, contains, family, host
from fairway.model.container import Container
from fairway.model.errors import Fault, InvalidParameter
from fairway.model.network import Endpoint, EndpointRequest, Network, Sandbox
from fairway.plan import Element, Fact, Namespace, Resolver

INTERFACE_OPTION = "com.docker.network.endpoint.ifname"


def families(network: Network) -> tuple[Family, ...]:
    """The address families of a network."""
    return (*((4,) if network.ipv4 else ()), *((6,) if network.ipv6 else ()))


def check_request(network: Network | None, request: EndpointRequest) -> None:
    """What a network cannot give to any endpoint; None is another container's (``container:``).

    Raises InvalidParameter with Docker's texts.
    """
    wanted = [a for a in (request.ipv4, request.ipv6) if a]
    user_defined = network is not None and resolves(network)
    if request.aliases and not user_defined:
        raise InvalidParameter(
            "network-scoped alias is supported only for containers in user defined networks"
        )
    if wanted and not user_defined:
        raise InvalidParameter(
            "invalid endpoint settings:\nuser specified IP address is supported on user defined networks only"
        )
    if network is None:
        return
    if wanted and not network.static:
        raise InvalidParameter(
            "invalid endpoint settings:\nuser specified IP address is supported only when connecting to "
            "networks with user configured subnets"
        )
    for address in wanted:
        if not any(contains(pool.subnet, address) for pool in network.pools):
            raise InvalidParameter(
                f"invalid endpoint settings:\nno configured subnet contains IP address {address}"
            )
    for link in request.links:
        parse_link(link)
    interface = request.driver_options.get(INTERFACE_OPTION, "eth0")
    interface_name(INTERFACE_OPTION, interface)
    tuple(interface_sysctls(request.driver_options, interface))


class Attachments:
    """Reservations of endpoints, and what shall hold in the kernel for sandboxes."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def reserve(self, network: Network, container: Container, endpoint: Endpoint) -> Endpoint:
        """The endpoint with id, addresses, MAC and names; all taken until ``release``.

        Raises Conflict when an address is taken or none is left.
        """
        endpoint_id = self._core.identity.id()
        if not find(network.driver).interfaces:
            return msgspec.structs.replace(endpoint, id=endpoint_id)
        addresses: list[Cidr] = []
        try:
            for kind in families(network):
                wanted = endpoint.request.ipv4 if kind == 4 else endpoint.request.ipv6
                previous = next((host(a) for a in endpoint.previous if family(a) == kind), None)
                addresses.append(self._core.ipam.allocate(network, wanted, kind, previous))
            interface = self._interface(network, container, endpoint)
        except Fault:
            self._core.ipam.release(network.id, addresses)
            raise
        while not endpoint.host_interface and f"veth{endpoint_id[:7]}" in self._core.state.host_interfaces:
            endpoint_id = self._core.identity.id()
        new = msgspec.structs.replace(
            endpoint,
            id=endpoint_id,
            addresses=tuple(addresses),
            gateways=() if network.internal else self._gateways(network, addresses),
            interface=interface,
            host_interface=endpoint.host_interface or f"veth{endpoint_id[:7]}",
        )
        return msgspec.structs.replace(new, mac=endpoint_mac(new))

    def release(self, endpoint: Endpoint) -> None:
        """Give back what it holds: last of all, when nothing of it is in the kernel or in the state."""
        self._core.ipam.release(endpoint.network_id, endpoint.addresses)

    def idle(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as it is kept while the container does not run."""
        return msgspec.structs.replace(
            endpoint,
            id="",
            addresses=(),
            previous=endpoint.addresses or endpoint.previous,
            mac=None,
            gateways=(),
        )

    def facts(self, network: Network, endpoint: Endpoint, sandbox: Sandbox) -> tuple[Fact, ...]:
        """What shall hold for one endpoint in the sandbox."""
        return find(network.driver).endpoint(network, endpoint, sandbox.key)

    def way_in(self, container: Container, without: str = "") -> tuple[Network, Endpoint] | None:
        """Where the outside comes in, leaving the network ``without`` (an id) aside.

        None on the host's own network, and on internal ones alone.
        """
        attached = self._core.state.attachments(container.id)
        active = [(n, e) for n, e in attached if e.id and n.id != without]
        return gateway_endpoint(active, 4) or gateway_endpoint(active, 6)

    def outward(self, container: Container, sandbox: Sandbox) -> tuple[Fact, ...]:
        """What follows from which endpoint leads outside: default routes, and where published ports lead."""
        active = [(n, e) for n, e in self._core.state.attachments(container.id) if e.id]
        return outward(active, container.ports, sandbox.key)

    def sandbox_facts(self, container: Container, sandbox: Sandbox) -> tuple[Fact, ...]:
        """Everything that shall hold for a running container's sandbox, in order."""
        facts: list[Fact] = [Namespace(sandbox.key)]
        attachments = [(n, e) for n, e in self._core.state.attachments(container.id) if e.id]
        for network, endpoint in sorted(attachments, key=lambda pair: pair[1].interface):
            facts += self.facts(network, endpoint, sandbox)
        facts += self.outward(container, sandbox)
        facts += elements(self._core.state, container)
        facts.sort(key=lambda fact: isinstance(fact, Element))  # side by side, they are one transaction
        if any(resolves(n) for n, _ in attachments):
            facts.append(Resolver(sandbox.id, sandbox.key))
        return tuple(facts)

    def _gateways(self, network: Network, addresses: list[Cidr]) -> tuple[Address, ...]:
        return tuple(
            pool.next_hop
            for pool in network.pools
            if pool.next_hop and any(contains(pool.subnet, host(a)) for a in addresses)
        )

    def _interface(self, network: Network, container: Container, endpoint: Endpoint) -> str:
        """The name inside: the one asked for, the one it had before, else the lowest free index."""
        taken = {
            e.interface
            for e in self._core.state.endpoints_of(container.id)
            if e.id and e.network_id != network.id
        }
        asked = endpoint.request.driver_options.get(INTERFACE_OPTION, "")
        if asked in taken:
            raise InvalidParameter(f"interface name {asked} is already used in this container")
        prefix = network.bridge.interface_prefix if network.bridge else "eth"
        if asked or (endpoint.interface and endpoint.interface not in taken):
            return asked or endpoint.interface
        return next(name for i in range(len(taken) + 1) if (name := f"{prefix}{i}") not in taken)
