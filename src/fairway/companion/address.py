"""Names for unix sockets that fit ``struct sockaddr_un`` (108 bytes, unix(7)), whatever their paths are."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def short(path: str) -> Iterator[str]:
    """A name by way of a descriptor of the socket's directory, valid in the block. Raises OSError."""
    directory, name = os.path.split(path)
    descriptor = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
