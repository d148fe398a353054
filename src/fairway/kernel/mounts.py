"""Overlay mounts: made, undone, and read back from /proc/self/mountinfo (proc(5), overlayfs.rst).

mount(2) takes its options in one page. Image layers have long paths, so beyond that each layer is handed over
by itself (fsopen(2), ``lowerdir+``, Linux 6.7); the old way stays first because it works on every kernel.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairway.kernel import libc
from fairway.model.errors import Conflict, System
from fairway.plan import Overlay

PAGE = 4096
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo: where, what kind of file system, and that file system's options."""

    target: str
    kind: str
    options: str


def mounts() -> Iterator[Mount]:
    """All mounts of this mount namespace, in mount order."""
    # Not splitlines: names may hold what it takes for the end of a line.
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").rstrip("\n").split("\n"):
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        yield Mount(_plain(before.split(" ")[4]), kind, _plain(options))


def overlays(directories: tuple[str, ...]) -> Iterator[Overlay]:
    """The overlay mounts below the directories."""
    roots = tuple(os.path.realpath(d).rstrip("/") + "/" for d in directories)
    for mount in mounts():
        if mount.kind == "overlay" and mount.target.startswith(roots):
            yield _overlay(mount)


def establish(overlay: Overlay) -> bool:
    """Mount; False if exactly this is mounted already.

    Raises Conflict when something else is mounted there, System when the kernel refuses.
    """
    if present := _mounted(overlay.target):
        if present == overlay:
            return False
        raise Conflict(f"cannot mount {overlay.target}: something else is mounted there")
    _validate(overlay)
    try:
        _mount(overlay)
    except OSError as error:
        raise System(_refusal(overlay, error)) from error
    return True


def remove(overlay: Overlay) -> bool:
    """Unmount; False if nothing was mounted there. Raises System."""
    try:
        libc.unmount(overlay.target)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise System(f"cannot unmount {overlay.target}: {error.strerror}") from error
    return True


def _mount(overlay: Overlay) -> None:
    upper = [("upperdir", overlay.upper), ("workdir", overlay.work)]
    data = ",".join(f"{k}={_escape(v)}" for k, v in upper)
    data = f"lowerdir={':'.join(_escape(layer) for layer in overlay.lower)},{data}"
    if len(data.encode()) < PAGE:
        libc.mount("overlay", overlay.target, "overlay", 0, data)
    else:
        options = [("lowerdir+", layer) for layer in overlay.lower] + upper
        libc.mount_configured("overlay", options, overlay.target)


def _validate(overlay: Overlay) -> None:
    """overlayfs only says "no such file"; say which."""
    for path in (overlay.target, *overlay.lower, overlay.upper, overlay.work):
        if not Path(path).is_dir():
            raise System(f"cannot mount {overlay.target}: directory {path} does not exist")


def _mounted(target: str) -> Overlay | Mount | None:
    """What is mounted at target, topmost; ``ismount`` first, for mountinfo grows with the host."""
    if not os.path.ismount(target):
        return None
    real = os.path.realpath(target)
    found = [m for m in mounts() if m.target == real]
    if not found:
        return None
    return _overlay(found[-1]) if found[-1].kind == "overlay" else found[-1]


def _overlay(mount: Mount) -> Overlay:
    lower: list[str] = []
    single = {"upperdir": "", "workdir": ""}
    for option in re.split(r"(?<!\\),", mount.options):
        key, _, value = option.partition("=")
        if key == "lowerdir":
            lower += [_unescape(v) for v in re.split(r"(?<!\\):", value)]
        elif key == "lowerdir+":
            lower.append(_unescape(value))
        elif key in single:
            single[key] = _unescape(value)
    return Overlay(mount.target, tuple(lower), single["upperdir"], single["workdir"])


def _refusal(overlay: Overlay, error: OSError) -> str:
    if error.errno == errno.ENODEV:
        return (
            f"cannot mount {overlay.target}: this kernel has no overlay file system; "
            "it needs CONFIG_OVERLAY_FS (modprobe overlay)"
        )
    return f"cannot mount overlay at {overlay.target}: {error.strerror}"


def _escape(path: str) -> str:
    return re.sub(r"([\\:,])", r"\\\1", path)


def _unescape(path: str) -> str:
    return re.sub(r"\\(.)", r"\1", path)


def _plain(field: str) -> str:
    """mountinfo writes space, tab, newline and backslash in octal."""
    return _OCTAL.sub(lambda m: chr(int(m[1], 8)), field)
