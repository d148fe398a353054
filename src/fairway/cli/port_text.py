"""The PORTS column of ``ps``: ``0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp``.

Ports published under their own number, and those not published, are joined into ranges
(``0.0.0.0:80-82->80-82/tcp``); the others are listed one by one behind them. Order: container port, address,
host port (docker/cli ``formatter.DisplayablePorts``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def ports_text(ports: Iterable[Mapping[str, Any]]) -> str:
    """The API's port list as one line."""
    finished: list[str] = []
    mapped: list[str] = []
    open_ranges: dict[tuple[str, str], list[int]] = {}
    for port in sorted(ports, key=_order):
        number, address, kind = port["PrivatePort"], port.get("IP") or "", port["Type"]
        if address and port.get("PublicPort", 0) != number:
            mapped.append(f"{_join(address, port.get('PublicPort', 0))}->{number}/{kind}")
            continue
        span = open_ranges.setdefault((address, kind), [number, number])
        if number == span[1] + 1:
            span[1] = number
        elif number != span[0] or number != span[1]:
            finished.append(_span(address, kind, *span))
            span[:] = [number, number]
    finished += [_span(address, kind, *span) for (address, kind), span in open_ranges.items()]
    return ", ".join(finished + mapped)


def _order(port: Mapping[str, Any]) -> tuple[int, str, int, str]:
    return port["PrivatePort"], port.get("IP") or "", port.get("PublicPort", 0), port["Type"]


def _join(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _span(address: str, kind: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{_join(address, numbers)}->{numbers}/{kind}" if address else f"{numbers}/{kind}"
