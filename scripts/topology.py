"""A drawing of bridge networks in text: networks hang down as lines, containers and the host lie across.

                     app              web
                     172.19.0.0/16    172.18.0.0/16
                     │                │
    app_container ───●─ 172.19.0.2    │
                     │                │
    web_container ───●─ 172.19.0.3 ───●─ 172.18.0.2
                     │                │
    host ════════════●═ 172.19.0.1 ═══●═ 172.18.0.1 ═▶ outside

A dot is an attachment, with the address there; a line without a dot only passes. The host's are gateways.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_GAP = 3


def draw(networks: Iterable[Mapping[str, Any]]) -> str:
    """The drawing of what ``GET /networks/{id}`` says of each network; those without addresses are left out.

    Empty when there is nothing to draw. Lines carry no trailing spaces and end with a newline each.
    """
    shown = sorted((n for n in networks if _subnets(n)), key=lambda n: str(n["Name"]))
    if not shown:
        return ""
    members = [_members(n) for n in shown]
    containers = sorted({name for each in members for name in each})
    gateways = [_gateway(n) for n in shown]
    left = max(len(name) for name in ("host", *containers)) + 1 + _GAP
    widths = [
        max(
            len(str(network["Name"])),
            *(len(subnet) for subnet in _subnets(network)),
            *(len(address) + 4 for address in (*inside.values(), gateway)),
        )
        + _GAP
        for network, inside, gateway in zip(shown, members, gateways, strict=True)
    ]
    between = _line(" " * left, [("│", "")] * len(shown), widths, " ")
    lines = [_words(left, [str(n["Name"]) for n in shown], widths)]
    depth = max(len(_subnets(n)) for n in shown)
    for row in range(depth):
        lines.append(_words(left, [(_subnets(n) + [""] * depth)[row] for n in shown], widths))
    lines.append(between)
    for name in containers:
        cells = [inside.get(name) for inside in members]
        lines += [_across(name, left, cells, widths, "─"), between]
    outside = any(not n.get("Internal") for n in shown)
    host = _across("host", left, gateways, widths, "═")
    lines.append(f"{host} ═▶ outside" if outside else host)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _subnets(network: Mapping[str, Any]) -> list[str]:
    return [str(pool["Subnet"]) for pool in network["IPAM"]["Config"] or () if pool.get("Subnet")]


def _gateway(network: Mapping[str, Any]) -> str:
    """The first gateway, where the host has one. Kept even on an internal network: the host is reachable."""
    found = [str(pool["Gateway"]) for pool in network["IPAM"]["Config"] if pool.get("Gateway")]
    return str(ipaddress.ip_interface(found[0]).ip) if found else ""


def _members(network: Mapping[str, Any]) -> dict[str, str]:
    """Container → its address in the network, IPv4 if it has one."""
    return {
        str(each["Name"]): (each.get("IPv4Address") or each.get("IPv6Address") or "").partition("/")[0]
        for each in (network.get("Containers") or {}).values()
    }


def _words(left: int, words: list[str], widths: list[int]) -> str:
    return " " * left + "".join(word.ljust(width) for word, width in zip(words, widths, strict=True))


def _across(name: str, left: int, cells: Sequence[str | None], widths: list[int], stroke: str) -> str:
    """One container's line: from its name to its last attachment."""
    last = max((i for i, cell in enumerate(cells) if cell is not None), default=-1)
    marks = []
    for index, cell in enumerate(cells):
        mark = "│" if cell is None else "●"
        marks.append((mark, f"{stroke} {cell} " if cell else ""))
        if index >= last:
            break
    start = f"{name} ".ljust(left, stroke)
    drawn = _line(start, marks, widths, stroke).rstrip(f"{stroke} ") if last >= 0 else name
    rest = "".join("│".ljust(width) for width in widths[last + 1 :])
    used = left + sum(widths[: last + 1])
    return (drawn.ljust(used) + rest).rstrip() if rest else drawn


def _line(start: str, marks: list[tuple[str, str]], widths: list[int], fill: str) -> str:
    cells = (f"{mark}{text}".ljust(width, fill) for (mark, text), width in zip(marks, widths, strict=False))
    return start + "".join(cells)
