"""Sockets of the embedded DNS server: made inside a sandbox, handed to whoever answers on them.

A socket belongs for ever to the namespace in which it was made, so the resolver process never has to enter
one. The TCP socket is bound first: unlike UDP it refuses a second listener, which tells whether the sandbox
is served already. If the holder knows a sandbox that does not listen, its sockets belong to an earlier
namespace of that name and are replaced.
"""

import errno
import socket
import struct
from pathlib import Path
from typing import Protocol

from fairway.kernel.namespaces import Namespaces, is_namespace
from fairway.kernel.netlink import NLM_F_DUMP, Channel, Message
from fairway.model.errors import Conflict, System
from fairway.plan import Resolver

ADDRESS = "127.0.0.11"
"""Docker's embedded DNS server inside every sandbox of a user-defined network."""
PORT = 53
BACKLOG = 128
_PACKED = socket.inet_aton(ADDRESS)
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _TCP_LISTEN = 4, 20, 10
_LISTENING = Message(
    _SOCK_DIAG_BY_FAMILY,
    NLM_F_DUMP,
    # struct inet_diag_req_v2: of all listening TCP sockets those on this port, whatever address
    struct.pack("=BBxxI", socket.AF_INET, socket.IPPROTO_TCP, 1 << _TCP_LISTEN) + struct.pack("!H46x", PORT),
)
_PROC_LISTENER = "0B00007F:0035"
_PROC_LISTEN_STATE = "0A"


class Listeners(Protocol):
    """Who holds the sockets and answers. Blocking, thread-safe; called from the kernel worker."""

    def open(self, sandbox: str, udp: socket.socket, tcp: socket.socket) -> None:
        """Take the sockets over, closing them included. After an exception they are still the caller's."""

    def close(self, sandbox: str) -> None:
        """Close the sandbox's sockets; unknown sandboxes are no error."""

    def sandboxes(self) -> frozenset[str]:
        """Ids of the sandboxes whose sockets are held."""


def establish(namespaces: Namespaces, holder: Listeners, wish: Resolver) -> bool:
    """Listen in the sandbox; False if it is served already. Raises Conflict (port taken), System."""
    known = wish.sandbox in holder.sandboxes()
    try:
        with namespaces.inside(wish.namespace):
            sockets = _listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            if known:
                return False
            text = f"cannot listen on {ADDRESS}:{PORT} in {wish.namespace}: Address already in use"
            raise Conflict(text) from error
        text = f"cannot listen on {ADDRESS}:{PORT} in {wish.namespace}: {error.strerror}"
        raise System(text) from error
    if known:
        holder.close(wish.sandbox)
    try:
        holder.open(wish.sandbox, *sockets)
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return True


def remove(holder: Listeners, wish: Resolver) -> bool:
    """Stop listening; False if the sandbox was not served."""
    if wish.sandbox not in holder.sandboxes():
        return False
    holder.close(wish.sandbox)
    return True


def served(namespaces: Namespaces, namespace: str) -> bool:
    """Whether something listens there now."""
    with namespaces.inside(namespace):
        try:
            return _asked()
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
        lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    return any(f[1] == _PROC_LISTENER and f[3] == _PROC_LISTEN_STATE for f in map(str.split, lines))


def _asked() -> bool:
    """As the kernel says when it is asked for listening sockets (sock_diag(7)), in 0.1 ms.

    The file below /proc takes 2 to 7 ms: for it, the kernel walks through the connections of all namespaces.
    Raises OSError; ENOENT without CONFIG_INET_TCP_DIAG.
    """
    channel = Channel(_NETLINK_SOCK_DIAG)
    try:
        return any(body[8:12] == _PACKED for body in channel.dump(_LISTENING))
    finally:
        channel.close()


def facts(namespaces: Namespaces, holder: Listeners, where: dict[str, str], directory: str) -> set[Resolver]:
    """Sandboxes served, each with its namespace: the known one, else the file named by the id's beginning.

    One whose namespace exists but does not listen is stale and not reported, so that it is made anew; one
    whose namespace is gone is reported, so that it is withdrawn.
    """
    found = set()
    for sandbox in holder.sandboxes():
        namespace = where.get(sandbox) or f"{directory}/{sandbox[:12]}"
        if not is_namespace(namespace) or served(namespaces, namespace):
            found.add(Resolver(sandbox, namespace))
    return found


def port_free(protocol: str, address: str, port: int) -> bool:
    """Whether a process could listen there, found by trying in the thread's current namespace.

    What the kernel has no sockets for (an address that is not local, SCTP) nobody listens on.
    """
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    if protocol not in kinds:
        return True
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, kinds[protocol] | socket.SOCK_CLOEXEC) as trial:
        if kind == socket.AF_INET6:  # the families are tried one by one
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":  # connections that linger are no listeners
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _listen() -> tuple[socket.socket, socket.socket]:
    """(UDP, TCP), bound in the thread's current namespace, non-blocking and close-on-exec. Raises OSError."""
    made: list[socket.socket] = []
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            made.append(socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK))
            made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made[-1].bind((ADDRESS, PORT))
        made[0].listen(BACKLOG)
    except OSError:
        for each in made:
            each.close()
        raise
    return made[1], made[0]
