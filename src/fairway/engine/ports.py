"""Which host ports containers hold, and which one a new mapping gets.

A host port belongs to one container per protocol and address; all addresses (``0.0.0.0``) clash with each.
"""

from collections.abc import Iterable, Sequence

from fairway.engine.core import Core
from fairway.model.address import Address, parse_address
from fairway.model.container import Container, PortBinding
from fairway.model.errors import Conflict, InvalidParameter, Unsupported
from fairway.model.network import ANY_ADDRESS, PortMapping
from fairway.model.number import decimal

_EPHEMERAL = "net/ipv4/ip_local_port_range"


class Ports:
    """The ports in use, by protocol and number."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: dict[tuple[str, int], dict[str, str]] = {}

    def hold(self, container_id: str, ports: Iterable[PortMapping]) -> None:
        for port in ports:
            self._held.setdefault((port.protocol, port.host_port), {})[port.host_address] = container_id

    def release(self, ports: Iterable[PortMapping]) -> None:
        for port in ports:
            holders = self._held.get((port.protocol, port.host_port), {})
            holders.pop(port.host_address, None)
            if not holders:
                self._held.pop((port.protocol, port.host_port), None)

    async def choose(self, container: Container, default: Address) -> tuple[PortMapping, ...]:
        """Take the ports that the container publishes; all of them or none.

        ``default`` is the host's address for bindings that name none.

        Raises Conflict with Docker's text when one is taken, by a container or a process of the host.
        """
        wanted = requested(container, default)
        if not wanted:
            return ()
        low, high = (int(n) for n in (await self._core.kernel.sysctl("", _EPHEMERAL)).split())
        chosen: list[PortMapping] = []
        try:
            for mapping, first, last in wanted:
                candidates = range(first, last + 1) if first else range(low, high + 1)
                chosen.append(await self._take(container, mapping, candidates))
        except BaseException:
            self.release(chosen)
            raise
        return tuple(chosen)

    async def _take(
        self, container: Container, mapping: PortMapping, candidates: Sequence[int]
    ) -> PortMapping:
        reason = "port is already allocated"
        for number in candidates:
            if self._taken(mapping, number):
                continue
            port = PortMapping(
                protocol=mapping.protocol,
                container_port=mapping.container_port,
                host_address=mapping.host_address,
                host_port=number,
            )
            self.hold(container.id, [port])
            free = False
            try:
                free = await self._core.kernel.port_free(port.protocol, port.host_address, number)
            finally:
                if not free:
                    self.release([port])
            if free:
                return port
            reason = "address already in use"
        raise Conflict(
            "failed to set up container networking: driver failed programming external connectivity on "
            f"endpoint {container.name}: Bind for {mapping.host_address}:{candidates[0]} failed: {reason}"
        )

    def _taken(self, mapping: PortMapping, number: int) -> bool:
        holders = self._held.get((mapping.protocol, number), {})
        if mapping.host_address == ANY_ADDRESS:
            return bool(holders)
        return mapping.host_address in holders or ANY_ADDRESS in holders


def requested(container: Container, default: Address = ANY_ADDRESS) -> list[tuple[PortMapping, int, int]]:
    """What a container wants published: its bindings and, with publish-all, its exposed ports.

    Each comes with the first and last host port that will do, zeros for any. Raises InvalidParameter for a
    port or an address that is none, Unsupported for IPv6.
    """
    bindings: dict[str, tuple[PortBinding, ...]] = dict(container.host.port_bindings)
    if container.host.publish_all_ports:
        for port in container.config.exposed_ports:
            bindings.setdefault(port if "/" in port else f"{port}/tcp", ())
        bindings = {port: given or (PortBinding(),) for port, given in bindings.items()}
    result = []
    for port, given in bindings.items():
        number, protocol = _container_port(port)
        for binding in given:
            first, last = _host_ports(binding.host_port)
            address = _host_address(binding.host_ip) if binding.host_ip else default
            mapping = PortMapping(
                protocol=protocol,  # type: ignore[arg-type]  # checked by _container_port
                container_port=number,
                host_address=address,
                host_port=first,
            )
            result.append((mapping, first, last))
    return result


def _container_port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    port = decimal(number, 65535)
    if protocol not in ("tcp", "udp", "sctp") or not port:
        raise InvalidParameter(f"invalid port specification: {text!r}: use 1-65535, then /tcp, /udp or /sctp")
    return port, protocol


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


def _host_address(text: str) -> Address:
    address = parse_address(text, "host address of a published port")
    if ":" in address:
        raise Unsupported(
            f"publishing on the IPv6 address {address} is not supported by this version of Fairway: leave "
            "the address out to publish on all IPv4 addresses"
        )
    return address
