"""``--subnet``, ``--ip-range``, ``--gateway`` and ``--aux-address`` → the API's ``IPAM.Config``.

They are separate lists on the command line: each range, gateway and address finds the subnet that holds it.
What is no subnet at all is sent as it is: judging it is the daemon's business.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any

from fairway.cli.flags import Options
from fairway.model.errors import InvalidParameter

_Network = IPv4Network | IPv6Network


def ipam_config(options: Options) -> list[dict[str, Any]]:
    """One entry a subnet; ``InvalidParameter`` for what fits no subnet, or for overlapping subnets."""
    subnets, ranges, gateways = (options.items(name) for name in ("subnet", "ip-range", "gateway"))
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise InvalidParameter("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, dict[str, Any]] = {text: {"Subnet": text} for text in subnets}
    networks = _networks(subnets)
    for key, what, texts in (("IPRange", "ip-range", ranges), ("Gateway", "gateway", gateways)):
        for text in texts:
            subnet = _owner(networks, what, text)
            if before := pools[subnet].get(key):
                noun = "ranges" if key == "IPRange" else "gateways"
                raise InvalidParameter(
                    f"cannot configure multiple {noun} ({text}, {before}) on the same subnet ({subnet})"
                )
            pools[subnet][key] = text
    for name, text in options.pairs("aux-address").items():
        subnet = _owner(networks, "aux-address", text)
        pools[subnet].setdefault("AuxiliaryAddresses", {})[name] = text
    return list(pools.values())


def _networks(subnets: list[str]) -> dict[str, _Network]:
    found: dict[str, _Network] = {}
    for text in subnets:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            # Nothing can lie in it; the daemon will refuse it.
            continue
        if any(network.version == other.version and network.overlaps(other) for other in found.values()):
            raise InvalidParameter("multiple overlapping subnet configuration is not supported")
        found[text] = network
    return found


def _owner(networks: dict[str, _Network], what: str, text: str) -> str:
    try:
        address = ip_interface(text).ip if "/" in text else ip_address(text)
    except ValueError:
        address = None
    for name, network in networks.items():
        if address is not None and address in network:
            return name
    raise InvalidParameter(f"no matching subnet for {what} {text}")
