"""A container's file system as its user sees it, and what is told about one path in it."""

import msgspec


class TreeMount(msgspec.Struct, frozen=True, kw_only=True):
    """A host directory or file that shows at ``destination``."""

    source: str
    destination: str
    read_only: bool = False


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """Root file system and what is mounted into it; pseudo file systems and tmpfs are no part of it."""

    root: str
    """Host directory on which the root file system is mounted."""
    mounts: tuple[TreeMount, ...] = ()
    """Parents before children. One whose source is not there is left out."""
    read_only: bool = False
    """Whether nothing but mounts may be written to (``--read-only``)."""


class PathStat(msgspec.Struct, frozen=True, kw_only=True):
    """What lstat(2) says about a path of a container."""

    name: str
    """Last part of the path as it was asked for; ``/`` for the root."""
    size: int
    """Bytes."""
    mode: int
    """``st_mode``: type and permissions."""
    modified: int
    """Nanoseconds since the epoch."""
    target: str = ""
    """For a symbolic link: the path that it leads to, links on the way resolved."""
