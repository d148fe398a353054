"""``-p`` and ``--expose`` → ``ExposedPorts`` and ``PortBindings``.

Ranges are expanded here, on the client, as Docker's command does: the daemon gets one entry per container
port. Only a single container port with a range of host ports stays a range: there the daemon chooses.
Grammar and error texts: docker/go-connections ``nat``; the long form ``published=…,target=…`` as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from fairway.model.errors import InvalidParameter

Bindings = dict[str, list[dict[str, str]]]
_PROTOCOLS = ("tcp", "udp", "sctp")


def published(specs: Iterable[str]) -> tuple[list[str], Bindings]:
    """Container ports (``80/tcp``) and their host bindings, in order; raises ``InvalidParameter``."""
    bindings: Bindings = {}
    for spec in specs:
        for port, binding in _parse(_short_form(spec)):
            bindings.setdefault(port, []).append(binding)
    return list(bindings), bindings


def exposed(specs: Iterable[str]) -> list[str]:
    """Container ports of ``--expose``: a port or a range, with or without a protocol."""
    found: list[str] = []
    for spec in specs:
        if ":" in spec:
            raise InvalidParameter(f"invalid port format for --expose: {spec}")
        port, protocol = split_protocol(spec)
        try:
            first, last = port_range(port)
        except ValueError as error:
            raise InvalidParameter(f"invalid range format for --expose: {spec}, error: {error}") from error
        found += [f"{number}/{protocol}" for number in range(first, last + 1)]
    return found


def split_protocol(text: str) -> tuple[str, str]:
    """``80/udp`` → port and protocol; tcp unless said otherwise."""
    port, _, protocol = text.partition("/")
    return (port, protocol or "tcp") if port else ("", "")


def port_range(text: str) -> tuple[int, int]:
    """``8000-8010`` or ``80`` → first and last; ValueError with Go's text."""
    if not text:
        raise ValueError("empty string specified for ports")
    first, dash, last = text.partition("-")
    start = _port(first)
    end = _port(last) if dash else start
    if end < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return start, end


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > 65535:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _parse(spec: str) -> list[tuple[str, dict[str, str]]]:
    address, host, container = _split(spec)
    container, protocol = split_protocol(container)
    address = _address(address)
    if not container:
        raise InvalidParameter(f"no port specified: {spec}<empty>")
    first, last = _range_or(container, "invalid containerPort")
    host_first = host_last = 0
    if host:
        host_first, host_last = _range_or(host, "invalid hostPort")
        if last - first != host_last - host_first and first != last:
            raise InvalidParameter(
                f"invalid ranges specified for container and host Ports: {container} and {host}"
            )
    if protocol.lower() not in _PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {protocol}")
    result = []
    for offset in range(last - first + 1):
        host_port = str(host_first + offset) if host else ""
        if first == last and host_first != host_last:
            host_port += f"-{host_last}"
        binding = {"HostIp": address, "HostPort": host_port}
        result.append((f"{first + offset}/{protocol.lower()}", binding))
    return result


def _split(spec: str) -> tuple[str, str, str]:
    """Address, host part, container part: everything before the last two colons is the address."""
    parts = spec.split(":")
    if len(parts) == 1:
        return "", "", parts[0]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare:
        try:
            zone = getattr(ip_address(bare), "scope_id", None)
        except ValueError as error:
            raise InvalidParameter(f"invalid IP address: {bare}") from error
        if zone:  # Docker's command knows none, and nothing could tell the kernel of it
            raise InvalidParameter(f"invalid IP address: {bare}")
    return bare


def _range_or(text: str, problem: str) -> tuple[int, int]:
    try:
        return port_range(text)
    except ValueError as error:
        raise InvalidParameter(f"{problem}: {text}") from error


def _short_form(spec: str) -> str:
    """``published=8080,target=80,protocol=tcp`` → ``8080:80/tcp``; anything else unchanged."""
    if "=" not in spec:
        return spec
    fields = {"protocol": "tcp"}
    for part in spec.split(","):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise InvalidParameter(f"invalid publish opts format (should be name=value but got '{part}')")
        fields[key] = value
    return f"{fields.get('published', '')}:{fields.get('target', '')}/{fields['protocol']}"
