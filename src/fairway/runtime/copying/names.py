"""What the path of a copy means: Docker's rules for a trailing ``/`` or ``/.``, and names in the archive.

A directory ``/etc`` travels as ``etc/…``, ``/etc/.`` as ``./…`` and ``/`` as ``/…``; that is how clients tell
"the directory" from "its content" (moby, ``pkg/archive/copy.go``).
"""

import posixpath


def absolute(path: str) -> str:
    """``path`` from the root, normalised, its trailing ``/`` or ``/.`` kept: both demand a directory."""
    clean = "/" + posixpath.normpath(f"/{path}").lstrip("/")
    if posixpath.basename(path) == ".":
        return clean + "." if clean == "/" else f"{clean}/."
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def base(path: str) -> str:
    """The last part of an absolute path as ``absolute`` gives it: ``/`` for the root, ``.`` for ``…/.``."""
    return posixpath.basename(path.rstrip("/")) or "/"


def entry(base: str, below: str) -> str:
    """Name in the archive of what lies at ``below`` (relative, empty for itself) in the copied directory."""
    if not below:
        return base
    return f"/{below}" if base == "/" else f"{base}/{below}"


def inside(destination: str, name: str) -> str | None:
    """Where an entry is extracted to; None if its name would lead out of ``destination``."""
    relative = posixpath.normpath(name.lstrip("/") or ".")
    if relative == ".." or relative.startswith("../"):
        return None
    return destination if relative == "." else posixpath.join(destination, relative)
