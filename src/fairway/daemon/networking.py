"""The options about networks, checked and typed. Texts are dockerd's where it has one.

What needs the host to judge (does the bridge exist, is the subnet free) is left to the engine's start.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from fairway.drivers import find
from fairway.engine.settings import DefaultBridge
from fairway.model.address import Address, Cidr, Family, family, parse_address
from fairway.model.errors import InvalidParameter
from fairway.model.network import ANY_ADDRESS
from fairway.model.request import NetworkRequest

DISABLED = "none"
"""The name of ``--bridge`` that means no default network."""
FLAGS = frozenset(
    "bip bip6 bridge default-gateway default-gateway-v6 default-network-opt fixed-cidr fixed-cidr-v6 "
    "host-gateway-ip icc ip ip-forward ip-masq ip6tables iptables ipv6".split()
)
"""Options that are read here."""

_ANY_ID = "0" * 64


class Networking(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of the engine's ``Settings`` that these options give."""

    default_bridge: DefaultBridge = DefaultBridge()
    default_network_options: dict[str, dict[str, str]] = {}
    host_address: Address | None = None
    host_gateways: tuple[Address, ...] = ()
    iptables: bool = True
    ip6tables: bool = True
    ip_forward: bool = True


def read(values: Mapping[str, Any]) -> Networking:
    """From values by flag name. Raises InvalidParameter."""
    _check_contradictions(values)
    iptables = values.get("iptables", True)
    host_address = _address(values, "ip")
    return Networking(
        default_bridge=DefaultBridge(
            enabled=values.get("bridge") != DISABLED,
            device=values.get("bridge", ""),
            addresses=_by_family(_interface(values, "bip", 4), _interface(values, "bip6", 6)),
            ranges=_by_family(_subnet(values, "fixed-cidr", 4), _subnet(values, "fixed-cidr-v6", 6)),
            gateways=_by_family(
                _gateway(values, "default-gateway", 4), _gateway(values, "default-gateway-v6", 6)
            ),
            icc=values.get("icc", True),
            masquerade=values.get("ip-masq", True) and iptables,
            ipv6=values.get("ipv6", False),
        ),
        default_network_options=_network_options(values.get("default-network-opt", {})),
        host_address=None if host_address == ANY_ADDRESS else host_address,
        host_gateways=_host_gateways(values.get("host-gateway-ip", ())),
        iptables=iptables,
        ip6tables=values.get("ip6tables", True),
        ip_forward=values.get("ip-forward", True),
    )


def _check_contradictions(values: Mapping[str, Any]) -> None:
    for bip in ("bip", "bip6"):
        if values.get("bridge") and values.get(bip):
            raise InvalidParameter(
                f"You specified -b & --{bip}, mutually exclusive options. Please specify only one"
            )
    if values.get("icc", True):
        return
    for tables, concerned in (("iptables", True), ("ip6tables", values.get("ipv6", False))):
        if concerned and not values.get(tables, True):
            raise InvalidParameter(
                f"You specified --{tables}=false with --icc=false. ICC=false uses {tables} to function. "
                f"Please set --icc or --{tables} to true"
            )


def _by_family(first: Any, second: Any) -> dict[Family, Any]:
    pairs: tuple[tuple[Family, Any], ...] = ((4, first), (6, second))
    return {kind: value for kind, value in pairs if value is not None}


def _interface(values: Mapping[str, Any], name: str, kind: Family) -> Cidr | None:
    """An address with its prefix length."""
    text = values.get(name, "")
    if not text:
        return None
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        found = None
    if found is None or "/" not in text or "%" in text or found.version != kind:
        raise InvalidParameter(f"parse {name} failed: invalid CIDR address: {text}")
    return Cidr(str(found))


def _subnet(values: Mapping[str, Any], name: str, kind: Family) -> Cidr | None:
    found = _interface(values, name, kind)
    return Cidr(str(ipaddress.ip_interface(found).network)) if found else None


def _gateway(values: Mapping[str, Any], name: str, kind: Family) -> Address | None:
    found = _address(values, name)
    if found and family(found) != kind:
        raise InvalidParameter(f"invalid --{name}: {found} is not an IPv{kind} address")
    return found


def _address(values: Mapping[str, Any], name: str) -> Address | None:
    text = values.get(name, "")
    return _parsed(name, text) if text else None


def _parsed(name: str, text: str) -> Address:
    try:
        return parse_address(text, name)
    except InvalidParameter:
        raise InvalidParameter(
            f'invalid argument "{text}" for "--{name}" flag: {text} is not an ip address'
        ) from None


def _host_gateways(texts: tuple[str, ...]) -> tuple[Address, ...]:
    found = tuple(_parsed("host-gateway-ip", text) for text in texts)
    if len({family(address) for address in found}) != len(found):
        raise InvalidParameter("only one IPv4 and one IPv6 address can be given as --host-gateway-ip")
    return found


def _network_options(given: Mapping[str, Any] | tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Options by driver, from the file's object or the words ``driver=option=value`` of the command line."""
    found: dict[str, dict[str, str]] = {}
    if isinstance(given, tuple):
        for word in given:
            driver, _, setting = word.partition("=")
            option, equals, value = setting.partition("=")
            if not equals:
                raise InvalidParameter(
                    f"invalid value {word!r} for map option, should be driver=option=value"
                )
            found.setdefault(driver, {})[option] = value
    else:
        found = {driver: dict(options) for driver, options in given.items()}
    for driver, options in found.items():
        find(driver).options(NetworkRequest(name="", driver=driver, options=options), _ANY_ID)
    return found
