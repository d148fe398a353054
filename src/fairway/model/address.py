"""Addresses as canonical text, and the few questions asked of them."""

import ipaddress
from typing import Literal, NewType

from fairway.model.errors import InvalidParameter

Address = NewType("Address", str)
"""An IP address in canonical text form, without prefix length: ``172.17.0.2``, ``fd00::2``."""

Cidr = NewType("Cidr", str)
"""An address or a subnet with its prefix length: ``172.17.0.2/16``, ``172.17.0.0/16``."""

Mac = NewType("Mac", str)
"""A MAC address, lower case, colon separated."""

Family = Literal[4, 6]


def family(text: str) -> Family:
    """4 or 6, from any canonical address or CIDR."""
    return 6 if ":" in text else 4


def parse_address(text: str, field: str) -> Address:
    """Canonical form of an address; one with a zone (``fe80::1%eth0``) is none, as in Docker: a zone is any
    text. Raises InvalidParameter naming ``field`` and the text.
    """
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        parsed = None
    if parsed is None or "%" in text:
        raise InvalidParameter(f"invalid {field}: {text!r} is not an IP address")
    return Address(str(parsed))


def parse_subnet(text: str, field: str) -> Cidr:
    """Canonical form of a subnet; host bits are an error, as in Docker.

    Raises InvalidParameter naming ``field`` and the text.
    """
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidParameter(f"invalid {field} {text}: invalid CIDR address: {text}") from None
    if "/" not in text:
        raise InvalidParameter(f"invalid {field} {text}: invalid CIDR address: {text}")
    if str(ipaddress.ip_interface(text).ip) != str(net.network_address):
        raise InvalidParameter(f"invalid {field} {text}: it should be {net}")
    return Cidr(str(net))


def parse_mac(text: str, field: str) -> Mac:
    """Canonical form of a 48-bit MAC address. Raises InvalidParameter naming ``field`` and the text."""
    parts = text.replace("-", ":").split(":")
    try:
        octets = bytes(int(p, 16) for p in parts) if all(1 <= len(p) <= 2 for p in parts) else b""
    except ValueError:
        octets = b""
    if len(octets) != 6:
        raise InvalidParameter(f"invalid {field}: address {text}: invalid MAC address")
    if octets[0] & 1:
        raise InvalidParameter(f"invalid {field}: address {text}: a multicast address is no interface's own")
    return Mac(octets.hex(":"))


def host(cidr: Cidr) -> Address:
    """The address part of ``172.17.0.2/16``."""
    return Address(cidr.partition("/")[0])


def prefix_length(cidr: Cidr) -> int:
    """The length part of ``172.17.0.2/16``."""
    return int(cidr.partition("/")[2])


def contains(subnet: Cidr, address: Address) -> bool:
    """Whether the address lies in the subnet; False across families."""
    if family(subnet) != family(address):
        return False
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def interface(address: Address, subnet: Cidr) -> Cidr:
    """The address with the subnet's prefix length."""
    return Cidr(f"{address}/{prefix_length(subnet)}")


def link_local(mac: Mac) -> Address:
    """fe80:: and the modified EUI-64 of the MAC (RFC 4291, appendix A), as the kernel makes it."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return Address(str(ipaddress.IPv6Address(bytes.fromhex("fe80") + bytes(6) + identifier)))


def mac_of(address: Address) -> Mac:
    """02:42 followed by the IPv4 address in hex (requirement R23, Docker up to 27)."""
    return Mac("02:42:" + ipaddress.IPv4Address(address).packed.hex(":"))
