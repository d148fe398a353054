"""``--network`` of ``run``: a name, or ``name=web,alias=x,ip=…``, any number of them.

The first network also takes what the older options say (``--ip``, ``--network-alias``, ``--link`` …), and
is the ``NetworkMode``. Texts of the conflicts are docker/cli's.
"""

from __future__ import annotations

import re
from typing import Any

from fairway.cli.endpoint import endpoint_settings
from fairway.cli.flags import Options
from fairway.cli.kinds import STRINGS, Refused, listed
from fairway.model.errors import InvalidParameter

_LONG_FORM = re.compile(r"\w+=\w+(,\w+=\w+)*")
_NOT_USER_DEFINED = ("default", "bridge", "host", "none", "nat")


class Attachment:
    """One ``--network`` as written."""

    __slots__ = (
        "aliases",
        "driver_options",
        "gateway_priority",
        "ipv4",
        "ipv6",
        "link_local",
        "links",
        "mac",
        "name",
    )

    def __init__(self, name: str) -> None:
        self.name, self.ipv4, self.ipv6, self.mac = name, "", "", ""
        self.aliases: list[str] = []
        self.links: list[str] = []
        self.link_local: list[str] = []
        self.driver_options: dict[str, str] = {}
        self.gateway_priority = 0


def _network(text: str) -> Attachment:
    if not _LONG_FORM.search(text):
        return Attachment(text)
    found = Attachment("")
    for field in STRINGS.parse(text.strip()):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise Refused(f"invalid field {field}")
        _take(found, key.strip().lower(), value.strip())
    if not found.name:
        raise Refused("network name/id is not specified")
    return found


def _take(found: Attachment, key: str, value: str) -> None:
    if key == "name":
        found.name = value
    elif key == "alias":
        found.aliases.append(value)
    elif key == "ip":
        found.ipv4 = value
    elif key == "ip6":
        found.ipv6 = value
    elif key == "mac-address":
        found.mac = check_mac(value, Refused)
    elif key == "link-local-ip":
        found.link_local.append(value)
    elif key == "driver-opt":
        option, equals, setting = value.partition("=")
        if not equals:
            raise Refused("invalid key value pair format in driver options")
        found.driver_options[option.strip().lower()] = setting.strip()
    elif key == "gw-priority":
        try:
            found.gateway_priority = int(value)
        except ValueError as error:
            raise Refused(f"invalid gw-priority ({value}): invalid syntax") from error
    else:
        raise Refused(f"invalid field key {key}")


NETWORKS = listed("network", _network)


def check_mac(text: str, failure: type[Exception] = InvalidParameter) -> str:
    """``text`` if it is a MAC address."""
    if not re.fullmatch(r"[0-9a-fA-F]{2}([:-])([0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}", text.strip()):
        raise failure(f"{text} is not a valid mac address")
    return text.strip()


def is_user_defined(name: str) -> bool:
    """Whether ``name`` is a network that somebody made, rather than a mode."""
    return name not in _NOT_USER_DEFINED and not name.startswith("container:")


def networking(options: Options) -> tuple[str, dict[str, Any]]:
    """The network mode and the settings by network; raises ``InvalidParameter``."""
    attachments: list[Attachment] = options.values("network")
    if not attachments:
        attachments = [Attachment("default")]
    _merge(attachments[0], options)
    user_defined = {is_user_defined(attachment.name) for attachment in attachments}
    endpoints: dict[str, Any] = {}
    for attachment in attachments:
        settings = _settings(attachment)
        if attachment.name in endpoints:
            raise InvalidParameter(f'network "{attachment.name}" is specified multiple times')
        endpoints[attachment.name] = settings
    if len(user_defined) > 1:
        raise InvalidParameter(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )
    return attachments[0].name, endpoints


def _merge(first: Attachment, options: Options) -> None:
    """Give the first network what the options outside ``--network`` say; both at once is a conflict."""
    for option, attribute, noun in (
        ("network-alias", "aliases", "alias"),
        ("link", "links", "links"),
        ("ip", "ipv4", "IPv4 address"),
        ("ip6", "ipv6", "IPv6 address"),
        ("mac-address", "mac", "MAC address"),
        ("link-local-ip", "link_local", "link-local IP addresses"),
    ):
        if not options.given(option):
            continue
        if getattr(first, attribute):
            raise InvalidParameter(
                f"conflicting options: cannot specify both --{option} and per-network {noun}"
            )
        if option == "link" and not is_user_defined(first.name):
            continue
        value: Any = (
            options.items(option) if isinstance(getattr(first, attribute), list) else options.text(option)
        )
        setattr(first, attribute, check_mac(value) if option == "mac-address" else value)


def _settings(attachment: Attachment) -> dict[str, Any]:
    if not attachment.name.strip():
        raise InvalidParameter("no name set for network")
    if not is_user_defined(attachment.name):
        if attachment.aliases:
            raise InvalidParameter("network-scoped aliases are only supported for user-defined networks")
        if attachment.links:
            raise InvalidParameter("links are only supported for user-defined networks")
    return endpoint_settings(
        ipv4=attachment.ipv4,
        ipv6=attachment.ipv6,
        link_local=attachment.link_local,
        links=attachment.links,
        aliases=attachment.aliases,
        driver_options=attachment.driver_options,
        gateway_priority=attachment.gateway_priority,
        mac=attachment.mac,
    )
