"""Request bodies of the API that differ from the model's requests, and their conversion.

Addresses are parsed here, once. Texts of errors are Docker's where it has one.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import field

from fairway.api import decode, references
from fairway.model.address import Address, Mac, family, parse_address, parse_mac, parse_subnet
from fairway.model.container import Config, Docker, HostConfig
from fairway.model.errors import InvalidParameter
from fairway.model.network import EndpointRequest
from fairway.model.process import ExecRequest
from fairway.model.request import ContainerRequest, NetworkRequest, PoolRequest, VolumeRequest

T = TypeVar("T")


class PoolBody(Docker, frozen=True):
    """``IPAMConfig``."""

    subnet: str = ""
    ip_range: str = field(default="", name="IPRange")
    gateway: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict, name="AuxiliaryAddresses")


class IpamBody(Docker, frozen=True):
    driver: str = ""
    config: tuple[PoolBody, ...] = ()
    options: dict[str, str] | None = None


class ConfigFromBody(Docker, frozen=True):
    network: str = ""


class NetworkBody(Docker, frozen=True):
    """``POST /networks/create``."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigFromBody = ConfigFromBody()
    ipv4: bool | None = field(default=None, name="EnableIPv4")
    ipv6: bool | None = field(default=None, name="EnableIPv6")
    ipam: IpamBody = field(default=IpamBody(), name="IPAM")
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    def request(self) -> NetworkRequest:
        """Raises InvalidParameter for a bad name or address."""
        return NetworkRequest(
            name=references.network_name(self.name),
            driver=self.driver or "bridge",
            scope=self.scope,
            internal=self.internal,
            attachable=self.attachable,
            ingress=self.ingress,
            config_only=self.config_only,
            config_from=self.config_from.network,
            ipv4=self.ipv4,
            ipv6=self.ipv6,
            ipam_driver=self.ipam.driver or "default",
            ipam_options=self.ipam.options,
            pools=_pools(self.ipam.config),
            options=self.options,
            labels=self.labels,
        )


def _pools(bodies: tuple[PoolBody, ...]) -> tuple[PoolRequest, ...]:
    """All entries, or one error with a line for each fault, as Docker reports them."""
    faults: list[str] = []
    pools = []
    for body in bodies:
        read = _Collector(faults)
        pools.append(
            PoolRequest(
                subnet=read(parse_subnet, body.subnet, "subnet"),
                ip_range=read(parse_subnet, body.ip_range, "ip-range"),
                gateway=read(parse_address, body.gateway, "gateway address"),
                auxiliary={
                    name: parsed
                    for name, text in body.auxiliary.items()
                    if (parsed := read(parse_address, text, f"auxiliary address {name}"))
                },
            )
        )
    if faults:
        raise InvalidParameter("\n".join(["invalid network config:", *faults]))
    return tuple(pools)


class _Collector:
    """Applies parsers, gathering the texts of their errors; an empty text is None."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def __call__(self, parser: Callable[[str, str], T], text: str, name: str) -> T | None:
        if not text:
            return None
        try:
            return parser(text, name)
        except InvalidParameter as fault:
            self._faults.append(fault.message)
            return None


class EndpointIpam(Docker, frozen=True):
    ipv4: str = field(default="", name="IPv4Address")
    ipv6: str = field(default="", name="IPv6Address")
    link_local: tuple[str, ...] = field(default=(), name="LinkLocalIPs")


class EndpointBody(Docker, frozen=True):
    """``EndpointSettings``, as far as a client decides it."""

    ipam: EndpointIpam = field(default=EndpointIpam(), name="IPAMConfig")
    links: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    mac_address: str = ""
    driver_opts: dict[str, str] = {}
    gw_priority: int = 0

    def request(self) -> EndpointRequest:
        """Raises InvalidParameter with a line for each fault."""
        faults: list[str] = []
        read = _Collector(faults)
        request = EndpointRequest(
            aliases=self.aliases,
            links=self.links,
            ipv4=read(_parse_ipv4, self.ipam.ipv4, ""),
            ipv6=read(_parse_ipv6, self.ipam.ipv6, ""),
            link_local=tuple(
                parsed for text in self.ipam.link_local if (parsed := read(_parse_link_local, text, ""))
            ),
            mac=read(_parse_mac, self.mac_address, "MAC address"),
            driver_options=self.driver_opts,
            gw_priority=self.gw_priority,
        )
        if faults:
            raise InvalidParameter("\n".join(["invalid endpoint settings:", *faults]))
        return request


def _parse_ipv4(text: str, _: str) -> Address:
    return _parse_of_family(text, 4, f"invalid IPv4 address: {text}")


def _parse_ipv6(text: str, _: str) -> Address:
    return _parse_of_family(text, 6, f"invalid IPv6 address: {text}")


def _parse_of_family(text: str, wanted: int, complaint: str) -> Address:
    try:
        address = parse_address(text, "address")
    except InvalidParameter:
        raise InvalidParameter(complaint) from None
    if family(address) != wanted:
        raise InvalidParameter(complaint)
    return address


def _parse_link_local(text: str, _: str) -> Address:
    try:
        return parse_address(text, "address")
    except InvalidParameter:
        raise InvalidParameter(f"invalid link-local IP address: {text}") from None


def _parse_mac(text: str, name: str) -> Mac:
    try:
        return parse_mac(text, name)
    except InvalidParameter:
        raise InvalidParameter(f"invalid {name} {text}") from None


class ConnectBody(Docker, frozen=True):
    """``POST /networks/{id}/connect``."""

    container: str = ""
    endpoint_config: EndpointBody = EndpointBody()


class DisconnectBody(Docker, frozen=True):
    container: str = ""
    force: bool = False


class _Networking(Docker, frozen=True):
    endpoints_config: dict[str, EndpointBody] = {}


class _Create(Docker, frozen=True):
    """What the create body holds beside ``Config``'s own members."""

    host_config: HostConfig = HostConfig()
    networking_config: _Networking = _Networking()


_ONE_OR_MANY = ("cmd", "entrypoint", "shell")
_CONFIG_NAMES = frozenset(each.lower() for each in decode.names(Config))


def config(document: Mapping[str, Any]) -> Config:
    """``ContainerConfig``; commands may be one string instead of a list (Go: ``strslice``)."""
    given = {
        key: [value] if key.lower() in _ONE_OR_MANY and isinstance(value, str) else value
        for key, value in document.items()
    }
    return decode.build(given, Config, "CreateRequest")


def container(data: bytes, name: str, platform: str) -> ContainerRequest:
    """``POST /containers/create``: members of ``Config`` on the top level, two groups below.

    Raises InvalidParameter.
    """
    document = decode.document(data)
    if not any(key.lower() in _CONFIG_NAMES for key, value in document.items() if value is not None):
        raise InvalidParameter("config cannot be empty in order to create a container")
    rest = decode.build(document, _Create, "CreateRequest")
    return ContainerRequest(
        name=references.container_name(name),
        config=config(document),
        host=rest.host_config,
        endpoints={
            network: each.request() for network, each in rest.networking_config.endpoints_config.items()
        },
        platform=platform,
    )


def commit_config(data: bytes) -> Config | None:
    """``POST /commit``: the container's own configuration stands when the body has none."""
    document = decode.document(data)
    return config(document) if document else None


class ExecBody(Docker, frozen=True):
    """``POST /containers/{id}/exec``."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    env: tuple[str, ...] = ()
    working_dir: str = ""
    cmd: tuple[str, ...] = ()

    def request(self) -> ExecRequest:
        if not self.cmd:
            raise InvalidParameter("No exec command specified")
        return ExecRequest(
            argv=self.cmd,
            env=self.env,
            user=self.user,
            working_dir=self.working_dir,
            tty=self.tty,
            privileged=self.privileged,
            attach_stdin=self.attach_stdin,
            attach_stdout=self.attach_stdout,
            attach_stderr=self.attach_stderr,
            detach_keys=self.detach_keys,
            console_size=self.console_size or (0, 0),
        )


class ExecStartBody(Docker, frozen=True):
    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class VolumeBody(Docker, frozen=True):
    """``POST /volumes/create``."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}

    def request(self) -> VolumeRequest:
        return VolumeRequest(
            name=references.volume_name(self.name),
            driver=self.driver or "local",
            options=self.driver_opts,
            labels=self.labels,
        )
