"""How a layer says "deleted", in an archive and in an overlayfs directory.

In a layer archive a file ``.wh.NAME`` deletes NAME of the layers below and ``.wh..wh..opq`` hides all they
hold in its directory (OCI image spec, layer.md). Overlayfs says the same with a character device 0/0 named
NAME and with the extended attribute ``trusted.overlay.opaque=y`` (Documentation/filesystems/overlayfs.rst).
"""

import os
import stat

PREFIX = ".wh."
RESERVED = ".wh..wh."
"""Names that start so are marks of their own, not deletions."""
OPAQUE = ".wh..wh..opq"
OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
OVERLAY_ATTRIBUTES = "trusted.overlay."
"""Private to overlayfs: never taken from an archive, never put into one."""


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry of an overlay directory is a deletion."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(directory: str | int) -> bool:
    """Whether an overlay directory (path or descriptor) hides what lies below it."""
    try:
        return os.getxattr(directory, OPAQUE_ATTRIBUTE) == b"y"
    except OSError:
        # ENODATA: not set; ENOTSUP: the filesystem could not have kept it.
        return False
