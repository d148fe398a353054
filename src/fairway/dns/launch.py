"""Finds the resolver process, or starts it. Blocking.

The resolver must survive the daemon, so it detaches into a session of its own and is nobody's child. Several
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

from fairway.dns import messages, server
from fairway.dns.address import short
from fairway.dns.messages import Response
from fairway.model.errors import System

PATIENCE = 10.0
"""Seconds to wait for the resolver to start, or to answer."""


class Location(NamedTuple):
    """Where the resolver of one daemon lives."""

    socket: str
    """Path of the control socket; its directory exists."""
    state: str
    """Directory of its lock and its log."""
    resolv_conf: str = "/etc/resolv.conf"
    """The host's, whose servers are asked on behalf of zones without upstreams."""


def connect(location: Location) -> tuple[socket.socket, bool]:
    """A connection to a resolver of our version, blocking, and whether it was started just now.

    Raises System.
    """
    connection = attempt(location)
    if connection is not None:
        if _same_version(connection):
            return connection, False
        replace(connection)
    started = _start(location)
    until = time.monotonic() + PATIENCE
    while (connection := attempt(location)) is None:
        # Only when somebody else is starting it at this very moment, or the old one is leaving.
        if time.monotonic() > until:
            raise System(f"the resolver holds {location.state} but does not listen on {location.socket}")
        time.sleep(0.01)
        started = _start(location) or started
    return connection, started


def call(connection: socket.socket, request: bytes) -> Response:
    """Send a framed request and wait for its response. Raises OSError; EOFError if the resolver is gone."""
    connection.sendall(request)
    return receive(connection)


def receive(connection: socket.socket) -> Response:
    """The next response. Raises OSError, or EOFError."""
    (length,) = messages.PREFIX.unpack(_exactly(connection, messages.PREFIX.size))
    response: Response = messages.decode_response(_exactly(connection, length))
    return response


def replace(connection: socket.socket) -> None:
    """Make the resolver at the other end leave, and wait until it has. Raises System."""
    try:
        with connection:
            connection.sendall(messages.frame(messages.Shutdown()))
            while connection.recv(4096):
                continue
    except ConnectionError:
        return  # gone even faster
    except OSError as error:
        raise System(f"the resolver does not leave: {error}") from None


def process_id(connection: socket.socket) -> int:
    """The pid of the resolver at the other end (``struct ucred`` of SO_PEERCRED, unix(7))."""
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def attempt(location: Location) -> socket.socket | None:
    """A connection to whatever resolver is there, None if there is none. Raises System."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        with short(location.socket) as name:
            connection.connect(name)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise System(f"cannot connect to the resolver at {location.socket}: {error}") from None
    return connection


def _same_version(connection: socket.socket) -> bool:
    try:
        return call(connection, messages.frame(messages.Hello())) == messages.Hello()
    except (OSError, EOFError, msgspec.DecodeError):
        return False


def _start(location: Location) -> bool:
    """Run the resolver; True once it listens, False if another one holds the lock. Raises System."""
    Path(location.state).mkdir(parents=True, exist_ok=True, mode=0o700)
    # -P: nothing is imported from the directory that the daemon happens to be started in.
    command = [sys.executable, "-P", "-m", "fairway.dns.server", "--detach"]
    command += ["--socket", location.socket, "--state", location.state]
    command += ["--resolv-conf", location.resolv_conf]
    log = os.open(Path(location.state, "resolver.log"), os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
    try:
        end = os.fstat(log).st_size
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=PATIENCE, check=False
        )
        if run.returncode not in (0, server.ALREADY_RUNNING):
            complaint = os.pread(log, 4096, end).decode(errors="replace").strip()
            raise System(f"the resolver does not start (exit {run.returncode}): {complaint}")
    except subprocess.TimeoutExpired:
        raise System(f"the resolver does not start within {PATIENCE:.0f} s") from None
    finally:
        os.close(log)
    return run.returncode == 0


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise EOFError("the resolver closed the connection")
        parts += part
    return bytes(parts)
