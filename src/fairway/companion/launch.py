"""Finds a companion process, or starts it. Blocking.

A companion must survive the daemon, so it detaches into a session of its own and is nobody's child. Several
callers may start it at once: its lock lets one through, and the others connect to that one.
"""

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from fairway.companion import messages
from fairway.companion.address import short
from fairway.companion.process import ALREADY_RUNNING
from fairway.model.errors import System

PATIENCE = 10.0
"""Seconds to wait for a companion to start, or to answer."""


class Companion(NamedTuple):
    """Which companion of one daemon, and where it lives."""

    name: str
    """In errors and names of files: ``resolver``."""
    module: str
    """What Python runs, see ``process.main``."""
    version: int
    """Of its messages."""
    socket: str
    """Path of the control socket; its directory exists."""
    state: str
    """Directory of its lock and its log."""
    arguments: tuple[str, ...] = ()
    """Options of its own, as words."""


def connect(companion: Companion) -> tuple[socket.socket, bool]:
    """A connection to a companion of our version, blocking, and whether it was started just now.

    Raises System.
    """
    connection = attempt(companion)
    if connection is not None:
        if _same_version(connection, companion.version):
            return connection, False
        replace(companion, connection)
    started = _start(companion)
    until = time.monotonic() + PATIENCE
    while (connection := attempt(companion)) is None:
        # Only when somebody else is starting it at this very moment, or the old one is leaving.
        if time.monotonic() > until:
            raise System(
                f"the {companion.name} holds {companion.state} but does not listen on {companion.socket}"
            )
        time.sleep(0.01)
        started = _start(companion) or started
    return connection, started


def call(connection: socket.socket, request: bytes) -> bytes:
    """Send a framed request and wait for its response, without its frame.

    Raises OSError; EOFError if the companion is gone.
    """
    connection.sendall(request)
    return receive(connection)


def receive(connection: socket.socket) -> bytes:
    """The next response. Raises OSError, or EOFError."""
    (length,) = messages.PREFIX.unpack(_exactly(connection, messages.PREFIX.size))
    return _exactly(connection, length)


def replace(companion: Companion, connection: socket.socket) -> None:
    """Make the companion at the other end leave, and wait until it has. Raises System."""
    try:
        with connection:
            connection.sendall(messages.frame(messages.Shutdown()))
            while connection.recv(4096):
                continue
    except ConnectionError:
        return  # gone even faster
    except OSError as error:
        raise System(f"the {companion.name} does not leave: {reason(error)}") from None


def shutdown(companion: Companion) -> None:
    """End the companion; no error if there is none. Raises System."""
    connection = attempt(companion)
    if connection is not None:
        replace(companion, connection)


def process_id(connection: socket.socket) -> int:
    """The pid of the companion at the other end (``struct ucred`` of SO_PEERCRED, unix(7))."""
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def reason(error: Exception) -> str:
    """An error of the system in words, without its number."""
    return str(getattr(error, "strerror", None) or error)


def attempt(companion: Companion) -> socket.socket | None:
    """A connection to whatever companion is there, None if there is none. Raises System."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        with short(companion.socket) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise System(
            f"cannot connect to the {companion.name} at {companion.socket}: {reason(error)}"
        ) from None
    return connection


def _same_version(connection: socket.socket, version: int) -> bool:
    try:
        answer = call(connection, messages.frame(messages.Hello(version)))
        return bool(messages.decode_hello(answer).version == version)
    except (OSError, EOFError, msgspec.DecodeError):
        return False


def _start(companion: Companion) -> bool:
    """Run the companion; True once it listens, False if another one holds the lock. Raises System."""
    Path(companion.state).mkdir(parents=True, exist_ok=True, mode=0o700)
    # -P: nothing is imported from the directory that the daemon happens to be started in.
    command = [sys.executable, "-P", "-m", companion.module, "--detach"]
    command += ["--socket", companion.socket, "--state", companion.state, *companion.arguments]
    path = Path(companion.state, f"{companion.name.replace(' ', '-')}.log")
    log = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    try:
        end = os.fstat(log).st_size
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=PATIENCE, check=False
        )
        if run.returncode not in (0, ALREADY_RUNNING):
            complaint = os.pread(log, 4096, end).decode(errors="replace").strip()
            raise System(f"the {companion.name} does not start (exit {run.returncode}): {complaint}")
    except subprocess.TimeoutExpired:
        raise System(f"the {companion.name} does not start within {PATIENCE:.0f} s") from None
    finally:
        os.close(log)
    return run.returncode == 0


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError("it closed the connection")
        parts += part
    return bytes(parts)
