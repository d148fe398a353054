"""Sockets that the API is served on: unix, TCP (with TLS), or handed over by systemd.

They are made before the engine starts, so that a second daemon on the same socket is refused before it
touches anything, and clients of a restarting daemon wait instead of failing.
"""

import errno
import grp
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairway.daemon.config import Config
from fairway.model.errors import Conflict, InvalidParameter, System

FIRST_FD = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
BACKLOG = 4096
"""Connections that may wait to be accepted: as many as with Go, within the kernel's somaxconn. On a unix
socket one more is refused at once (EAGAIN)."""
_PREFERRED_GROUPS = ("fairway", "docker")


@dataclass(frozen=True)
class Listener:
    """A listening socket; ``path`` of a unix socket that we made and will remove."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None
    path: Path | None = None

    def close(self) -> None:
        self.socket.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def open_all(config: Config, environment: Mapping[str, str]) -> list[Listener]:
    """One or more listeners for each ``--host``; on failure those made are closed again.

    Raises Conflict for an address in use, InvalidParameter, System.
    """
    listeners: list[Listener] = []
    try:
        for host in config.hosts:
            scheme, _, rest = host.partition("://")
            if scheme == "unix":
                listeners.append(_unix(Path(rest or "/run/fairway/fairway.sock"), config.group))
            elif scheme == "tcp":
                listeners.append(_tcp(rest, tls_context(config)))
            else:
                listeners += _inherited(rest, environment)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _unix(path: Path, group: str | None) -> Listener:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listening.bind(str(path))
        os.chown(path, -1, group_id(group))
        path.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise System(f"can't create unix socket {path}: {error.strerror or error}") from None
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return Listener(listening, path=path)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that is gone; refuse one where somebody listens, and other files."""
    if not path.exists():
        return
    if not path.is_socket():
        raise Conflict(f"can't create unix socket {path}: a file of another kind is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise System(f"can't use unix socket {path}: {error.strerror}") from None
    raise Conflict(f"can't create unix socket {path}: another daemon is listening there")


def group_id(name: str | None) -> int:
    """The socket's group: the one named (or its number), else fairway or docker if it exists, else root."""
    if name is not None:
        if not name:
            return 0
        try:
            return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
        except KeyError:
            raise InvalidParameter(f"group {name} not found") from None
    known = {entry.gr_name: entry.gr_gid for entry in grp.getgrall()}
    return next((known[each] for each in _PREFERRED_GROUPS if each in known), 0)


def _tcp(address: str, tls: ssl.SSLContext | None) -> Listener:
    name, _, port = address.rstrip("/").rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise InvalidParameter(f"Invalid bind address format: tcp://{address}")
    host = name.strip("[]") or "localhost"
    try:
        family, kind, _, _, target = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise InvalidParameter(f"tcp://{address}: {error.strerror}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(target)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        kind_of = Conflict if error.errno == errno.EADDRINUSE else System
        raise kind_of(f"listen tcp {address}: bind: {(error.strerror or str(error)).lower()}") from None
    return Listener(listening, tls=tls)


def tls_context(config: Config) -> ssl.SSLContext | None:
    """None without TLS; ``--tlsverify`` asks clients for a certificate. Raises InvalidParameter."""
    if not (config.tls or config.tlsverify):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tlscert, config.tlskey)
        if config.tlsverify:
            context.load_verify_locations(config.tlscacert)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise InvalidParameter(f"invalid TLS configuration: {error}") from None
    return context


def _inherited(name: str, environment: Mapping[str, str]) -> list[Listener]:
    """Sockets that systemd opened (sd_listen_fds(3)): all, or those of a name or a number."""
    count = environment.get("LISTEN_FDS", "0")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal() or count == "0":
        raise InvalidParameter(
            "no sockets found via socket activation: make sure the service was started by systemd"
        )
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    listeners = []
    for index in range(int(count)):
        fd = FIRST_FD + index
        if name in ("", "*", str(fd), names[index] if index < len(names) else ""):
            os.set_inheritable(fd, False)
            listeners.append(Listener(socket.socket(fileno=fd)))
    if not listeners:
        raise InvalidParameter(f"failed to find systemd activated sockets for fd://{name}")
    return listeners
