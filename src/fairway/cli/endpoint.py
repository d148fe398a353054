"""``EndpointSettings`` of the API, from ``network connect`` and from each ``--network`` of ``run``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def endpoint_settings(
    *,
    ipv4: str = "",
    ipv6: str = "",
    link_local: Iterable[str] = (),
    links: Iterable[str] = (),
    aliases: Iterable[str] = (),
    driver_options: Mapping[str, str] | None = None,
    gateway_priority: int = 0,
    mac: str = "",
) -> dict[str, Any]:
    """The body's ``EndpointConfig``; what was not asked for is left out."""
    ipam = {"IPv4Address": ipv4, "IPv6Address": ipv6, "LinkLocalIPs": list(link_local)}
    settings = {
        "IPAMConfig": {key: value for key, value in ipam.items() if value},
        "Links": list(links),
        "Aliases": list(aliases),
        "DriverOpts": dict(driver_options or {}),
        "GwPriority": gateway_priority,
        "MacAddress": mac,
    }
    return {key: value for key, value in settings.items() if value}
