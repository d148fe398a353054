"""What a container asks to have published: ``PortBindings`` and, with publish-all, its exposed ports. Pure.

Docker's keys are ``80/tcp`` (``80`` means tcp); a host port is empty for any, a number, or a range of which
one will do. An empty host address is for whoever publishes to settle (``engine/publishing.py``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from fairway.model.address import Address, parse_address
from fairway.model.container import Container, HostConfig, PortBinding
from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal

Bindings = Mapping[str, tuple[PortBinding, ...]]
Protocol = Literal["tcp", "udp", "sctp"]


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding: the same host port, from ``first`` to ``last`` (zeros: any), on each of the addresses."""

    protocol: Protocol
    container_port: int
    addresses: tuple[Address, ...]
    """Empty when the request names none."""
    first: int
    last: int

    @property
    def fixed(self) -> bool:
        """Whether only one host port will do."""
        return self.first == self.last != 0

    def accepts(self, number: int) -> bool:
        return not self.first or self.first <= number <= self.last

    def on(self, addresses: tuple[Address, ...]) -> "Binding":
        """With addresses, if the request names none."""
        if self.addresses:
            return self
        return Binding(self.protocol, self.container_port, addresses, self.first, self.last)


def requested(container: Container) -> list[Binding]:
    """What a container wants published, in its order. Raises InvalidParameter."""
    return [_binding(port, binding) for port, given in spelled_out(container).items() for binding in given]


def spelled_out(container: Container) -> dict[str, tuple[PortBinding, ...]]:
    """The bindings with publish-all in full: an automatic one for each exposed port that has none."""
    bindings = dict(container.host.port_bindings)
    if container.host.publish_all_ports:
        for port in map(key, container.config.exposed_ports):
            bindings.setdefault(port, ())
        bindings = {port: given or (PortBinding(),) for port, given in bindings.items()}
    return bindings


def changed(container: Container, changes: Bindings) -> HostConfig:
    """The host configuration with the bindings of some container ports replaced; none removes a port's.

    Publish-all is spelled out, lest it brings back what is removed. Raises InvalidParameter.
    """
    replaced = {key(port): given for port, given in changes.items()}
    for port in replaced:
        _container_port(port)  # those too that are removed
    bindings = {key(port): given for port, given in spelled_out(container).items()} | replaced
    return msgspec.structs.replace(
        container.host,
        port_bindings={port: given for port, given in bindings.items() if given},
        publish_all_ports=False,
    )


def key(port: str) -> str:
    """``80`` → ``80/tcp``."""
    return port if "/" in port else f"{port}/tcp"


def described(bindings: Iterable[Binding]) -> str:
    """Bindings in a few words, as ``-p`` takes them: ``8080:80/tcp, 127.0.0.1::53/udp``."""
    return ", ".join(map(_described, bindings))


def _described(binding: Binding) -> str:
    ports = f"{binding.first}-{binding.last}" if binding.first != binding.last else str(binding.first or "")
    address = "".join(f"[{a}]:" if ":" in a else f"{a}:" for a in binding.addresses[:1])
    host = f"{address}{ports}:" if address or ports else ""
    return f"{host}{binding.container_port}/{binding.protocol}"


def _binding(port: str, given: PortBinding) -> Binding:
    number, protocol = _container_port(port)
    first, last = _host_ports(given.host_port)
    address = parse_address(given.host_ip, "host address of a published port") if given.host_ip else None
    return Binding(protocol, number, (address,) if address else (), first, last)


def _container_port(text: str) -> tuple[int, Protocol]:
    number, _, protocol = key(text).partition("/")
    port = decimal(number, 65535)
    if protocol not in ("tcp", "udp", "sctp") or not port:
        raise InvalidParameter(f"invalid port specification: {text!r}: use 1-65535, then /tcp, /udp or /sctp")
    return port, protocol  # type: ignore[return-value]  # narrowed by the test above


def _host_ports(text: str) -> tuple[int, int]:
    if text in ("", "0"):
        return 0, 0
    low, dash, high = text.partition("-")
    first = decimal(low)
    last = decimal(high) if dash else first
    if first is None or last is None:
        raise InvalidParameter(f"invalid port specification: {text!r}: use a port or a range of ports")
    if not 0 < first <= last < 65536:
        raise InvalidParameter(f"invalid port specification: {text!r}: ports are 1 to 65535")
    return first, last
