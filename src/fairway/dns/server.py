"""The resolver process: ``python -m fairway.dns.server --socket PATH --state DIR [--resolv-conf PATH]``.

It keeps everything in memory and writes nothing but complaints to stderr. ``--detach`` puts it into the
background once the control socket takes connections, so that whoever waits for the command to end knows that
the resolver is ready. A lock in the state directory admits one resolver at a time; a second one leaves with
``ALREADY_RUNNING``, and a socket that the first left behind when it was killed can be replaced safely.
"""

import argparse
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import msgspec

from fairway.dns import messages
from fairway.dns.address import short
from fairway.dns.directory import Directory
from fairway.dns.forward import Forwarder
from fairway.dns.listener import Backend, Listener
from fairway.dns.loop import READ, Loop
from fairway.dns.messages import Request, Response
from fairway.dns.stream import Stream
from fairway.dns.upstreams import HostServers
from fairway.model.errors import Fault, InvalidParameter

ALREADY_RUNNING = 3
"""Exit code when another resolver holds the state directory."""

DESCRIPTORS_PER_QUESTION = 4
"""Of a forwarded question: a UDP socket for each of three servers, and one over TCP."""


class Resolver:
    """All sandboxes, and the control socket through which they come and go."""

    def __init__(self, loop: Loop, control: socket.socket, resolv_conf: str, descriptors: int) -> None:
        """``descriptors``: how many this process may have open; half of them are for forwarding."""
        self._loop = loop
        self._control = control
        self._directory = Directory()
        self._listeners: dict[str, Listener] = {}
        self._backend = Backend(
            loop,
            self._directory,
            HostServers(resolv_conf, loop.now),
            Forwarder(loop, descriptors // 2 // DESCRIPTORS_PER_QUESTION),
        )
        control.setblocking(False)
        loop.watch(control.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        # The caller is gone again, or descriptors ran out: then it waits until there are some.
        with suppress(OSError):
            sock, _ = self._control.accept()
            sock.setblocking(False)
            _Caller(self, self._loop, sock)

    def handle(self, request: Request, sockets: list[socket.socket]) -> Response:
        """Do what is asked; ``sockets`` are those that came with it. Raises Fault."""
        match request:
            case messages.Hello():
                return messages.Hello()
            case messages.Publish(networks, zones):
                self._directory.publish(networks, zones)
            case messages.Withdraw(sandbox):
                self._directory.withdraw(sandbox)
            case messages.Open(sandbox):
                self._open(sandbox, sockets)
            case messages.Close(sandbox):
                self._close(sandbox)
            case messages.List():
                return messages.Sandboxes(tuple(self._directory.sandboxes()), tuple(self._listeners))
            case messages.Shutdown():
                self._loop.stop()
        return messages.Done()

    def _open(self, sandbox: str, sockets: list[socket.socket]) -> None:
        kinds = [sock.type for sock in sockets]
        if kinds != [socket.SOCK_DGRAM, socket.SOCK_STREAM]:
            raise InvalidParameter(f"sandbox {sandbox}: expected a UDP and a TCP socket")
        self._close(sandbox)
        self._listeners[sandbox] = Listener(sandbox, sockets[0], sockets[1], self._backend)
        sockets.clear()

    def _close(self, sandbox: str) -> None:
        listener = self._listeners.pop(sandbox, None)
        if listener is not None:
            listener.close()


class _Caller(Stream):
    """A control connection; its descriptors belong to the request that they came with."""

    def __init__(self, resolver: Resolver, loop: Loop, sock: socket.socket) -> None:
        self._resolver = resolver
        self._sockets: list[socket.socket] = []
        super().__init__(
            loop, sock, messages.PREFIX, received=self._request, ended=self.finish, closed=self._drop
        )

    def _receive(self, size: int) -> bytes:
        data, descriptors, _, _ = socket.recv_fds(self._sock, size, 8, socket.MSG_CMSG_CLOEXEC)
        self._sockets += [socket.socket(fileno=descriptor) for descriptor in descriptors]
        return data

    def _request(self, message: bytes) -> None:
        try:
            response = self._resolver.handle(messages.decode_request(message), self._sockets)
        except msgspec.DecodeError as error:
            response = messages.Failed(f"resolver: malformed request: {error}")
        except Fault as fault:
            response = messages.Failed(fault.message)
        self._drop()
        self.send(messages.encode(response))

    def _drop(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()


def claim(state: Path) -> int | None:
    """Take the lock of the state directory for this process's life; None if another resolver has it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(state / "resolver.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def listen(path: Path) -> socket.socket:
    """The control socket, for this user only. The lock must be held."""
    path.unlink(missing_ok=True)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with short(str(path)) as name:
            control.bind(name)
    finally:
        os.umask(mask)
    control.listen(16)
    return control


def _detach() -> int:
    """Go on in a child that belongs to no terminal and is waited for by nobody but init.

    Returns, in the child, the pipe through which it tells the waiting parent its exit code, one byte.
    If the child ends without a word, the parent exits with 1.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(tell)
        os._exit((os.read(told, 1) or b"\1")[0])
    os.close(told)
    os.setsid()
    os.chdir("/")
    return tell


def _raise_descriptor_limit() -> int:
    """As many descriptors as this process may have without asking anybody."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="fairway.dns.server")
    arguments.add_argument("--socket", type=Path, required=True)
    arguments.add_argument("--state", type=Path, required=True)
    arguments.add_argument("--resolv-conf", default="/etc/resolv.conf")
    arguments.add_argument("--detach", action="store_true")
    options = arguments.parse_args()
    path, state = options.socket.absolute(), options.state.absolute()
    tell = _detach() if options.detach else None
    lock = claim(state)
    control = listen(path) if lock is not None else None
    if tell is not None:
        os.write(tell, bytes((0 if control else ALREADY_RUNNING,)))
        os.close(tell)
    if lock is None or control is None:
        return ALREADY_RUNNING
    try:
        serve(control, options.resolv_conf)
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)
    return 0


def serve(control: socket.socket, resolv_conf: str) -> None:
    """Until a client says ``Shutdown``, or SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    gc.freeze()
    loop = Loop()
    Resolver(loop, control, resolv_conf, _raise_descriptor_limit())
    loop.run()


if __name__ == "__main__":
    sys.exit(main())
