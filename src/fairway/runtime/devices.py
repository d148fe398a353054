"""Host devices that a container gets: read from /dev here, turned into OCI form where the configuration is
built.

A container sees the dozen devices that every OCI runtime makes (null, zero, tty …). ``--device`` adds
others, a directory adds all below it, and a privileged container gets every device of the host except those
that each container has of its own (terminals, shared memory).
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairway.model.container import Device
from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal

_OWN = frozenset({"pts", "shm", "fd", "mqueue", "console", "ptmx", ".lxc", ".lxd-mounts", ".udev"})

_DEFAULT_RULES = (
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    *(
        ("c", major, minor, "rwm")
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    ),
    ("c", 136, None, "rwm"),
)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A device node to make in the container. ``kind`` is ``c`` or ``b``."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"

    def oci(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "type": self.kind,
            "major": self.major,
            "minor": self.minor,
            "fileMode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
        }


def requested(devices: Sequence[Device]) -> tuple[Node, ...]:
    """Nodes for ``--device``. Raises InvalidParameter with Docker's text for what is no device."""
    nodes: list[Node] = []
    for device in devices:
        source = Path(device.path_on_host)
        target = device.path_in_container or device.path_on_host
        found = [node for node in _nodes(source, target) if node]
        if not found:
            reason = "not a device node" if source.exists() else "no such file or directory"
            raise InvalidParameter(
                f'error gathering device information while adding custom device "{source}": {reason}'
            )
        access = device.cgroup_permissions or "rwm"
        nodes.extend(msgspec.structs.replace(node, access=access) for node in found)
    return tuple(nodes)


def everything() -> tuple[Node, ...]:
    """All device nodes of the host, for a privileged container."""
    return tuple(
        node
        for entry in _entries(Path("/dev"))
        if entry.name not in _OWN
        for node in _nodes(entry, str(entry))
    )


def _nodes(source: Path, target: str) -> Iterator[Node]:
    """The node at ``source``, or all below it, as seen at ``target``; symbolic links only at the top."""
    try:
        status = source.stat()
    except OSError:
        return
    if stat.S_ISDIR(status.st_mode):
        for entry in _entries(source):
            if not entry.is_symlink() and entry.name not in _OWN:
                yield from _nodes(entry, f"{target}/{entry.name}")
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        yield Node(
            path=target,
            kind="c" if stat.S_ISCHR(status.st_mode) else "b",
            major=os.major(status.st_rdev),
            minor=os.minor(status.st_rdev),
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
        )


def _entries(directory: Path) -> Iterable[Path]:
    return sorted(entry for entry in directory.iterdir() if not entry.is_symlink())


def cgroup_rules(nodes: Sequence[Node], custom: Sequence[str], *, privileged: bool) -> list[dict[str, Any]]:
    """OCI ``resources.devices``: everything, or only the defaults, the nodes added and custom rules."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    rules += [_rule(*rule) for rule in _DEFAULT_RULES]
    rules += [_rule(node.kind, node.major, node.minor, node.access) for node in nodes]
    return rules + [_parse_rule(text) for text in custom]


def _rule(kind: str, major: int | None, minor: int | None, access: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


def _parse_rule(text: str) -> dict[str, Any]:
    """``c 10:200 rwm``, with ``*`` for any number (``--device-cgroup-rule``)."""
    match text.split():
        case [("a" | "b" | "c") as kind, numbers, access] if set(access) <= set("rwm"):
            major, _, minor = numbers.partition(":")
            if all(part == "*" or decimal(part) is not None for part in (major, minor)):
                return _rule(kind, decimal(major), decimal(minor), access)
    raise InvalidParameter(f'invalid device cgroup rule format: "{text}"')
