"""Sysctls of a namespace: files below /proc/sys, whose ``net`` part follows the calling thread.

Values are compared before they are written, so that a value that already holds costs one read. Withdrawing a
sysctl leaves its value (see ``plan.Sysctl``); a namespace takes its own along.
"""

import errno
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from msgspec.structs import replace

from fairway.kernel.namespaces import Namespaces
from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.plan import Sysctl

_ROOT = Path("/proc/sys")
_IPV6_OFF = {("accept_ra", "0"), ("disable_ipv6", "1")}
"""Of an interface; they hold in a kernel that has no IPv6 at all (``ipv6.disable=1``)."""


def read(namespaces: Namespaces, namespace: str, key: str) -> str:
    """The value, stripped. Raises NotFound (no such key or namespace), InvalidParameter, System."""
    path = file_of(key)
    try:
        with namespaces.inside(namespace):
            return path.read_text().strip()
    except FileNotFoundError as error:
        raise NotFound(f"no such sysctl: {key}{place(namespace)}") from error
    except OSError as error:
        raise System(f"cannot read sysctl {key}{place(namespace)}: {error.strerror}") from error


def write(namespaces: Namespaces, wish: Sysctl) -> bool:
    """Set the value; False if it is that already.

    Raises InvalidParameter for a value that the kernel refuses, System otherwise.
    """
    path = file_of(wish.key)
    try:
        with namespaces.inside(wish.namespace):
            if path.read_text().split() == wish.value.split():
                return False
            path.write_text(wish.value)
    except FileNotFoundError as error:
        no_namespace = error.filename == wish.namespace
        if not no_namespace and _needs_no_file(wish):
            return False
        missing = "no such namespace" if no_namespace else "this kernel does not have it"
        raise System(f"cannot set sysctl {wish.key}{place(wish.namespace)}: {missing}") from error
    except OSError as error:
        kind = InvalidParameter if error.errno in (errno.EINVAL, errno.ERANGE) else System
        text = f"cannot set sysctl {wish.key} to {wish.value!r}{place(wish.namespace)}: {error.strerror}"
        raise kind(text) from error
    return True


def differing(namespaces: Namespaces, wanted: Sequence[Sysctl]) -> list[Sysctl]:
    """Those that hold another value, each with that one; empty if there is no such file.

    One visit to each namespace. Raises InvalidParameter, System.
    """
    found: list[Sysctl] = []
    for namespace, group in groupby(sorted(wanted, key=_namespace), key=_namespace):
        wishes = list(group)
        try:
            with namespaces.inside(namespace):
                values = [_value(wish.key) for wish in wishes]
        except FileNotFoundError:  # no such namespace
            values = [""] * len(wishes)
        found += [
            replace(wish, value=value)
            for wish, value in zip(wishes, values, strict=True)
            if value.split() != wish.value.split() and not (not value and _needs_no_file(wish))
        ]
    return found


def _namespace(wish: Sysctl) -> str:
    return wish.namespace


def _value(key: str) -> str:
    path = file_of(key)
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise System(f"cannot read sysctl {key}: {error.strerror}") from error


def _needs_no_file(wish: Sysctl) -> bool:
    """Whether it holds because this kernel has no IPv6."""
    return (Path(wish.key).name, wish.value) in _IPV6_OFF and not (_ROOT / "net/ipv6").exists()


def file_of(key: str) -> Path:
    """The file below /proc/sys. Raises InvalidParameter for a key that would leave it."""
    parts = key.split("/")
    if not all(parts) or ".." in parts or "." in parts or "\0" in key:
        raise InvalidParameter(f"invalid sysctl: {key!r}")
    return _ROOT / key


def place(namespace: str) -> str:
    """Where, for error texts."""
    return f" in {namespace}" if namespace else ""
