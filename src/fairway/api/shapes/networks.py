"""Networks and attachments to them (API ``Network``, ``EndpointSettings``, ``NetworkSettings``)."""

from collections.abc import Iterable, Sequence
from typing import Any

from fairway.api import times
from fairway.api.versions import Version
from fairway.model.address import Cidr, family, host, prefix_length
from fairway.model.container import Container
from fairway.model.network import Endpoint, EndpointRequest, Network, Pool, Sandbox

Json = dict[str, Any]

_PREDEFINED = ("bridge", "host", "none")


def network(net: Network, attached: Iterable[tuple[Container, Endpoint]] = ()) -> Json:
    """``GET /networks/{id}``; in the list ``Containers`` stays empty, as in Docker."""
    return {
        "Name": net.name,
        "Id": net.id,
        "Created": times.rfc3339(net.created),
        "Scope": net.scope,
        "Driver": net.driver,
        "EnableIPv4": net.ipv4,
        "EnableIPv6": net.ipv6,
        "IPAM": {
            "Driver": net.ipam_driver,
            "Options": net.ipam_options,
            "Config": [_pool(pool) for pool in net.pools] or None,
        },
        "Internal": net.internal,
        "Attachable": net.attachable,
        "Ingress": net.ingress,
        "ConfigFrom": {"Network": net.config_from},
        "ConfigOnly": net.config_only,
        "Containers": {container.id: _member(container, endpoint) for container, endpoint in attached},
        "Options": net.options,
        "Labels": net.labels,
    }


def _pool(pool: Pool) -> Json:
    shape: Json = {"Subnet": pool.subnet}
    if pool.ip_range:
        shape["IPRange"] = pool.ip_range
    if pool.gateway:
        shape["Gateway"] = pool.gateway
    if pool.auxiliary:
        shape["AuxiliaryAddresses"] = pool.auxiliary
    return shape


def _member(container: Container, endpoint: Endpoint) -> Json:
    return {
        "Name": container.name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac or endpoint.request.mac or "",
        "IPv4Address": _of_family(endpoint.addresses, 4) or "",
        "IPv6Address": _of_family(endpoint.addresses, 6) or "",
    }


def _of_family(addresses: Sequence[Cidr], wanted: int) -> Cidr | None:
    return next((each for each in addresses if family(each) == wanted), None)


def endpoint_settings(net: Network, endpoint: Endpoint, container: Container, version: Version) -> Json:
    """One entry of ``NetworkSettings.Networks``."""
    asked = endpoint.request
    aliases = list(asked.aliases)
    if version < (1, 45) and net.name not in _PREDEFINED:
        aliases.append(container.id[:12])
    return {
        "IPAMConfig": _ipam_config(asked),
        "Links": list(asked.links) or None,
        "Aliases": aliases or None,
        "MacAddress": endpoint.mac or endpoint.request.mac or "",
        "DriverOpts": asked.driver_options or None,
        "GwPriority": asked.gw_priority,
        "NetworkID": net.id,
        "EndpointID": endpoint.id,
        **_addresses(endpoint),
        "DNSNames": _dns_names(net, endpoint, container),
    }


def _dns_names(net: Network, endpoint: Endpoint, container: Container) -> list[str] | None:
    """Names that peers on a user-defined network find the container by; null on the predefined ones."""
    if net.name in _PREDEFINED:
        return None
    names = (container.name, *endpoint.request.aliases, container.id[:12], container.config.hostname)
    return [name for name in dict.fromkeys(names) if name]


def _ipam_config(asked: EndpointRequest) -> Json | None:
    config: Json = {}
    if asked.ipv4:
        config["IPv4Address"] = asked.ipv4
    if asked.ipv6:
        config["IPv6Address"] = asked.ipv6
    if asked.link_local:
        config["LinkLocalIPs"] = list(asked.link_local)
    return config or None


def _addresses(endpoint: Endpoint | None) -> Json:
    """The seven address fields that an attachment and, for the default bridge, the container itself show."""
    addresses = endpoint.addresses if endpoint else ()
    gateways = {family(each): each for each in endpoint.gateways} if endpoint else {}
    v4, v6 = _of_family(addresses, 4), _of_family(addresses, 6)
    return {
        "Gateway": gateways.get(4, ""),
        "IPAddress": host(v4) if v4 else "",
        "IPPrefixLen": prefix_length(v4) if v4 else 0,
        "IPv6Gateway": gateways.get(6, ""),
        "GlobalIPv6Address": host(v6) if v6 else "",
        "GlobalIPv6PrefixLen": prefix_length(v6) if v6 else 0,
    }


def leads_outside(endpoints: Iterable[tuple[Network, Endpoint]]) -> bool:
    """Whether ports can lead to the container; where they cannot, Docker shows none, exposed ones neither."""
    return any(net.driver not in ("host", "null") and not net.internal for net, _ in endpoints)


def _ports(container: Container) -> Json:
    shape: Json = dict.fromkeys(container.config.exposed_ports)
    for port in container.ports:
        binding = {"HostIp": port.host_address, "HostPort": str(port.host_port)}
        key = f"{port.container_port}/{port.protocol}"
        shape[key] = [*(shape.get(key) or []), binding]
    return shape


def network_settings(
    container: Container,
    endpoints: Sequence[tuple[Network, Endpoint]],
    sandbox: Sandbox | None,
    version: Version,
) -> Json:
    """``NetworkSettings`` of a container. The top-level addresses are those on the default bridge only.

    Exposed ports that are not published are there with null, if they could be.
    """
    default = next((endpoint for net, endpoint in endpoints if net.name == "bridge"), None)
    running = container.state.running
    return {
        "Bridge": "",
        "SandboxID": sandbox.id if sandbox else "",
        "SandboxKey": sandbox.key if sandbox else "",
        "Ports": _ports(container) if running and leads_outside(endpoints) else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": default.id if default else "",
        **_addresses(default),
        "MacAddress": (default.mac or "") if default else "",
        "Networks": {
            net.name: endpoint_settings(net, endpoint, container, version) for net, endpoint in endpoints
        },
    }
