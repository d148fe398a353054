"""The bridge driver: a network is a Linux bridge, an endpoint is a veth pair.

    sandbox                    │ host
      eth0 172.18.0.2/16 ◀─veth┼─▶ veth1a2b3c4 ── br-<12 of id> 172.18.0.1/16 ── inet fairway ── outside

The bridge carries the gateway's address, also on internal networks, where the host stays reachable; their
containers merely have no default route, and the firewall drops what tries to leave. MACs are derived (bridge:
02:42 and the network's id; endpoint: 02:42 and its IPv4 address; host end: the endpoint's id), so they are
the same whenever the same facts are established again.
"""

import ipaddress

from fairway.drivers import options as driver_options
from fairway.drivers.sysctls import interface_sysctls
from fairway.firewall import guard
from fairway.firewall.networks import elements
from fairway.model.address import Address, Cidr, Mac, family, host, interface, link_local, mac_of
from fairway.model.network import BridgeOptions, Endpoint, Network
from fairway.model.request import NetworkRequest
from fairway.plan import GROUP, HOST, Bridge, Element, Fact, Flows, Sysctl, Veth
from fairway.plan import Address as AddressFact

LINK_LOCAL = Cidr("fe80::1/64")
"""Docker's on each IPv6 bridge. The kernel asks for MACs of neighbours from a link-local address; the one
that it makes is not ready before duplicate address detection: for a second or two, nothing is forwarded."""


class BridgeDriver:
    interfaces = True
    single = False

    def options(self, request: NetworkRequest, network_id: str) -> BridgeOptions | None:
        defaults = BridgeOptions(bridge=f"br-{network_id[:12]}")
        return driver_options.parse(request.options, defaults)

    def network(self, network: Network) -> tuple[Fact, ...]:
        settings = network.bridge
        if settings is None:
            return ()
        name = settings.bridge
        facts = foreign_bridge(network, settings) if settings.foreign else own_bridge(network, settings)
        facts += forwarding(network)
        if network.ipv4:  # so that published ports answer on 127.0.0.1, see firewall/ruleset.py
            facts.append(Sysctl(HOST, f"net/ipv4/conf/{name}/route_localnet", "1"))
        facts += elements(name, icc=settings.icc, internal=network.internal, masquerade=settings.masquerade)
        facts += guarded_bridge(network, settings)
        return tuple(facts)

    def endpoint(self, network: Network, endpoint: Endpoint, sandbox: str) -> tuple[Fact, ...]:
        settings = network.bridge
        if settings is None or endpoint.mac is None:
            return ()
        facts: list[Fact] = [
            *(Flows(host(a)) for a in endpoint.addresses),
            Veth(
                name=endpoint.host_interface,
                mac=host_mac(endpoint.id),
                bridge=settings.bridge,
                namespace=sandbox,
                peer=endpoint.interface,
                peer_mac=endpoint.mac,
                mtu=settings.mtu,
                group=guard.group(network.id) if settings.spoof_guard else GROUP,
            ),
        ]
        if not any(family(a) == 6 for a in endpoint.addresses):
            facts.append(Sysctl(sandbox, f"net/ipv6/conf/{endpoint.interface}/disable_ipv6", "1"))
        own = interface_sysctls(endpoint.request.driver_options, endpoint.interface)
        facts += [Sysctl(sandbox, key, value) for key, value in own]
        facts += [AddressFact(sandbox, endpoint.interface, a) for a in endpoint.addresses]
        facts += [
            AddressFact(sandbox, endpoint.interface, Cidr(f"{a}/{16 if family(a) == 4 else 64}"))
            for a in endpoint.request.link_local
        ]
        if settings.spoof_guard:
            facts += guarded_endpoint(network, endpoint, endpoint.mac)
        return tuple(facts)


def guarded_bridge(network: Network, settings: BridgeOptions) -> tuple[Element, ...]:
    """So that nobody poses as the gateway. The MAC of a foreign bridge is not known here; the bridge itself
    never learns it on a port."""
    if not settings.spoof_guard:
        return ()
    addresses = [host(address) for address in gateways(network)]
    if settings.foreign:
        return guard.of_network(network.id, (), addresses)
    mac = bridge_mac(network.id)
    if network.ipv6:
        addresses += [host(LINK_LOCAL), link_local(mac)]
    return guard.of_network(network.id, (mac,), addresses)


def guarded_endpoint(network: Network, endpoint: Endpoint, mac: Mac) -> tuple[Element, ...]:
    """What the endpoint may send as, and nobody else."""
    addresses = [*map(host, endpoint.addresses), *endpoint.request.link_local]
    if any(family(a) == 6 for a in addresses):
        addresses.append(link_local(mac))
    return guard.of_endpoint(network.id, endpoint.host_interface, mac, dict.fromkeys(addresses))


def own_bridge(network: Network, settings: BridgeOptions) -> list[Fact]:
    """A bridge of ours with the gateways' addresses."""
    name = settings.bridge
    bridge = Bridge(name=name, mac=bridge_mac(network.id), mtu=settings.mtu, filtered=not settings.icc)
    addresses = [AddressFact(HOST, name, address) for address in gateways(network)]
    if network.ipv6:
        addresses.append(AddressFact(HOST, name, LINK_LOCAL))
    # Else a container that announces itself as a router gives the host an address and a default route, in
    # networks without IPv6, too: CVE-2020-13401.
    return [bridge, *addresses, Sysctl(HOST, f"net/ipv6/conf/{name}/accept_ra", "0")]


def gateways(network: Network) -> list[Cidr]:
    """The bridge's addresses in the network's subnets."""
    return [
        interface(pool.gateway, pool.subnet)
        for pool in network.pools
        if pool.gateway and (network.ipv6 if family(pool.gateway) == 6 else network.ipv4)
    ]


def foreign_bridge(network: Network, settings: BridgeOptions) -> list[Fact]:
    """Nothing of the bridge is ours to change, so with icc off bridged frames are filtered host-wide."""
    if settings.icc:
        return []
    families = (("iptables", network.ipv4), ("ip6tables", network.ipv6))
    return [Sysctl(HOST, f"net/bridge/bridge-nf-call-{table}", "1") for table, used in families if used]


def forwarding(network: Network) -> list[Sysctl]:
    """Sysctls without which packets of the network do not travel."""
    sysctls = []
    if network.ipv4:
        sysctls.append(Sysctl(HOST, "net/ipv4/ip_forward", "1"))
    if network.ipv6:
        sysctls.append(Sysctl(HOST, "net/ipv6/conf/all/forwarding", "1"))
    return sysctls


def bridge_mac(network_id: str) -> Mac:
    """02:42 and four octets of the network's id: 8000.0242… in ``brctl show`` (R24)."""
    return Mac("02:42:" + bytes.fromhex(network_id[:8]).hex(":"))


def host_mac(endpoint_id: str) -> Mac:
    """A locally administered unicast MAC from the endpoint's id, never 02:42 (R25)."""
    octets = bytearray(bytes.fromhex(endpoint_id[-12:]))
    octets[0] = (octets[0] | 0x02) & 0xFE | 0x04
    return Mac(octets.hex(":"))


def endpoint_mac(endpoint: Endpoint) -> Mac:
    """The MAC asked for, else 02:42 and the IPv4 address (R23), else 02:42 and the IPv6 address' tail."""
    if endpoint.request.mac:
        return endpoint.request.mac
    for address in endpoint.addresses:
        if family(address) == 4:
            return mac_of(Address(address.partition("/")[0]))
    tail = (
        ipaddress.IPv6Interface(endpoint.addresses[0]).ip.packed[-4:] if endpoint.addresses else b"\0\0\0\1"
    )
    return Mac("02:42:" + tail.hex(":"))
