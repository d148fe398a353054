"""The port holder's process: ``python -m fairway.ports.holder``; its options are in ``companion.process``."""

import errno
import socket
import sys
from collections.abc import Mapping, Sequence

import msgspec

from fairway.companion import process
from fairway.companion.control import Control
from fairway.companion.loop import Loop
from fairway.companion.messages import Done
from fairway.model.hold import CHANGED, UNCHANGED, Held, Hold, in_use, refused
from fairway.ports import messages, sockets
from fairway.ports.backend import Backend
from fairway.ports.messages import Request
from fairway.ports.tcp import TcpPort
from fairway.ports.udp import UdpPort


class Holder:
    """All held ports of the network namespace that it runs in."""

    def __init__(self, loop: Loop, descriptors: int) -> None:
        """``descriptors``: how many this process may have open."""
        self._backend = Backend(loop, descriptors)
        self._ports: dict[tuple[str, str, int], Port] = {}
        self._kept: socket.socket | None = None

    def held(self) -> Sequence[Hold]:
        return [port.hold for port in self._ports.values()]

    def change(self, release: Sequence[Hold], hold: Sequence[Hold]) -> list[Held]:
        """Release, then hold; the outcomes in this order. What cannot be held does not keep the rest."""
        wanted = {each.key for each in hold}
        staying: dict[tuple[str, str, int], Port] = {}
        outcomes = [self._release(each, wanted, staying) for each in release]
        return outcomes + [self._hold(each, staying) for each in hold]

    def keep(self, owner: socket.socket | None) -> None:
        """Keep a socket open, instead of the one before."""
        if self._kept is not None:
            self._kept.close()
        self._kept = owner

    def close(self) -> None:
        """Release everything, and the loop."""
        self.change(self.held(), ())
        self.keep(None)
        self._backend.loop.close()

    def _release(
        self, hold: Hold, wanted: set[tuple[str, str, int]], staying: dict[tuple[str, str, int], "Port"]
    ) -> Held:
        port = self._ports.get(hold.key)
        if port is None or port.hold != hold:
            return UNCHANGED
        del self._ports[hold.key]
        if hold.key in wanted:
            staying[hold.key] = port
        else:
            port.close()
            self._backend.listening -= 1
        return CHANGED

    def _hold(self, hold: Hold, staying: dict[tuple[str, str, int], "Port"]) -> Held:
        if (port := staying.pop(hold.key, None)) is not None:
            port.retarget(hold)
            self._ports[hold.key] = port
            return CHANGED
        if (port := self._ports.get(hold.key)) is not None:
            return UNCHANGED if port.hold == hold else in_use(hold)
        if not self._backend.holds_more():
            return self._exhausted(hold)
        try:
            sock = sockets.opened(hold)
        except OSError as error:
            return self._refused(hold, error.errno or errno.EIO)
        hold = hold._replace(protocol=sys.intern(hold.protocol), target=sys.intern(hold.target))
        self._ports[hold.key] = _port(hold, sock, self._backend)
        self._backend.listening += 1
        return CHANGED

    def _refused(self, hold: Hold, error: int) -> Held:
        if error in (errno.EMFILE, errno.ENFILE):
            return self._exhausted(hold)
        address = sockets.blamed(hold) if error == errno.EADDRINUSE else hold.address
        return refused(hold.protocol, address, hold.port, error)

    def _exhausted(self, hold: Hold) -> Held:
        text = (
            f"cannot hold port {hold.port}/{hold.protocol}: {self._backend.listening} are held, and the port "
            f"holder may not have more than {self._backend.limit} files open; raise the limit of fairwayd "
            "(LimitNOFILE= of its systemd unit, ulimit -Hn), stop the containers that publish, and restart it"
        )
        return Held(False, errno.EMFILE, text)


class Reservation:
    """A port that is held and never proxied: SCTP."""

    def __init__(self, hold: Hold, sock: socket.socket | None) -> None:
        self.hold = hold
        self._sock = sock

    def retarget(self, hold: Hold) -> None:
        self.hold = hold

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()


Port = TcpPort | UdpPort | Reservation


def _port(hold: Hold, sock: socket.socket | None, backend: Backend) -> Port:
    if sock is None or hold.protocol == "sctp":
        return Reservation(hold, sock)
    return (TcpPort if hold.protocol == "tcp" else UdpPort)(hold, sock, backend)


class Server:
    """The holder, and the control socket through which it is told what to hold."""

    def __init__(self, loop: Loop, control: socket.socket, _options: Mapping[str, str]) -> None:
        self._holder = Holder(loop, process.raise_descriptor_limit())
        Control(loop, control, messages.VERSION, messages.decode_request, self._handle)

    def _handle(self, request: Request, sockets: list[socket.socket]) -> msgspec.Struct:
        match request:
            case messages.Change(release, hold):
                return messages.Changed(tuple(self._holder.change(release, hold)))
            case messages.Keep():
                self._holder.keep(sockets.pop() if sockets else None)
                return Done()
            case _:
                return messages.Holds(tuple(self._holder.held()))


if __name__ == "__main__":
    sys.exit(process.main("port holder", "fairway-ports", Server, sys.argv[1:]))
