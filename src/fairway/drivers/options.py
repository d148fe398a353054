"""Driver options of bridge networks: Docker's keys and one of ours, parsed once into ``BridgeOptions``."""

import re
from collections.abc import Callable
from typing import Any

from fairway.model.address import Family, parse_address
from fairway.model.errors import InvalidParameter
from fairway.model.network import SPOOF_GUARD, BridgeOptions

_INTERFACE = re.compile(r'[^\s/:"*\\]{1,15}')
_PREFIX = re.compile(r'[^\s/:"*\\0-9][^\s/:"*\\]{0,11}')
"""Without what the kernel refuses, and what means something in a text for nftables."""
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def parse_bool(key: str, text: str) -> bool:
    """Go's strconv.ParseBool. Raises InvalidParameter naming the key."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidParameter(f"invalid value {text!r} for {key}: use true or false")


def _mtu(key: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 68 <= int(text) <= 65535:
        raise InvalidParameter(f"invalid value {text!r} for {key}: use a number from 68 to 65535")
    return int(text)


def interface_name(key: str, text: str) -> str:
    """A name that the kernel accepts for an interface (IFNAMSIZ, net/core/dev.c dev_valid_name)."""
    if not _INTERFACE.fullmatch(text) or text in (".", ".."):
        raise InvalidParameter(
            f'invalid value {text!r} for {key}: use 1 to 15 characters, no space and none of / : " * \\'
        )
    return text


def _prefix(key: str, text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise InvalidParameter(
            f"invalid value {text!r} for {key}: use 1 to 12 characters, not starting with a digit"
        )
    return text


def _address(key: str, text: str) -> str:
    return parse_address(text, key)


FAMILIES = {4: "com.docker.network.enable_ipv4", 6: "com.docker.network.enable_ipv6"}
"""Options that stand for ``--ipv4`` and ``--ipv6``, so that they can be defaults of the daemon."""

_PARSERS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "com.docker.network.bridge.name": ("bridge", interface_name),
    "com.docker.network.driver.mtu": ("mtu", _mtu),
    "com.docker.network.bridge.enable_icc": ("icc", parse_bool),
    "com.docker.network.bridge.enable_ip_masquerade": ("masquerade", parse_bool),
    "com.docker.network.bridge.host_binding_ipv4": ("host_binding_ipv4", _address),
    "com.docker.network.container_iface_prefix": ("interface_prefix", _prefix),
    "com.docker.network.bridge.default_bridge": ("default_bridge", parse_bool),
    SPOOF_GUARD: ("spoof_guard", parse_bool),
    **dict.fromkeys(FAMILIES.values(), ("", parse_bool)),
}
"""Option → the field of ``BridgeOptions``, empty if it is none, and how to read it."""


def wants(options: dict[str, str], kind: Family) -> bool | None:
    """Whether the options ask for an address family; None if they do not say. Raises InvalidParameter."""
    key = FAMILIES[kind]
    return parse_bool(key, options[key]) if key in options else None


def parse(options: dict[str, str], defaults: BridgeOptions) -> BridgeOptions:
    """Options over defaults. Raises InvalidParameter for an unknown key, listing the known ones."""
    given: dict[str, Any] = {}
    for key, text in options.items():
        if key not in _PARSERS:
            raise InvalidParameter(
                f"unknown driver option {key!r} of driver bridge, known are: " + ", ".join(sorted(_PARSERS))
            )
        field, parser = _PARSERS[key]
        value = parser(key, text)
        if field:
            given[field] = value
    fields = {name: getattr(defaults, name) for name in defaults.__struct_fields__}
    return BridgeOptions(**{**fields, **given})
