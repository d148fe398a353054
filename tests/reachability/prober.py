"""A process in one network namespace that listens, sends what it is told to, and says what came of it.

    prober.py NAME PORT...      listens on the ports, TCP and UDP, IPv4 and IPv6, and sees every ping

On standard input a line of JSON is a batch,
``{"patience": seconds, "probes": [[protocol, address, port], …]}``;
the answer on standard output is a list of as many ``[kind, who, seen]``. ``kind`` is ``answered`` (by
``who``, who sees the packet come from ``seen``), ``refused``, ``unreachable`` or ``silent``. All probes of a
batch are under way at once; it ends when each has ended, or when nothing happened for ``patience`` seconds.

A ping is answered by a kernel, which does not tell its name: ``who`` is the ping's token then, and the batch
``{"arrivals": true}`` asks every prober for ``{token: seen}`` of the pings that arrived since the last time.

Standard library only: it starts by the dozen.
"""

import contextlib
import errno
import json
import os
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

ECHO = {4: (8, 0), 6: (128, 129)}
"""Types of echo request and reply, ICMP and ICMPv6 (RFC 792, RFC 4443)."""
IP_PKTINFO = 8  # linux/in.h
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
REFUSED = (errno.ECONNREFUSED, errno.ECONNRESET)
RESEND = 0.7
"""Seconds after which a datagram without an answer is sent once more."""

Result = list[str]


class Prober:
    def __init__(self, name: str, ports: list[int]) -> None:
        self.name = name
        self.poll = select.epoll()
        self.handlers: dict[int, Callable[[], None]] = {}
        self.kept: list[socket.socket] = []
        self.arrivals: dict[str, str] = {}
        self.probes: dict[int, Probe] = {}
        self.pings: dict[str, Probe] = {}
        self.heard = 0.0
        """When anything ended last, in seconds of the monotonic clock."""
        for port in ports:
            for kind in (4, 6):
                self._serve(kind, port)
        self.icmp = {kind: self._hear_pings(kind) for kind in (4, 6)}

    def watch(self, each: socket.socket, events: int, handler: Callable[[], None]) -> None:
        each.setblocking(False)
        self.handlers[each.fileno()] = handler
        self.poll.register(each, events)

    def forget(self, each: socket.socket) -> None:
        if self.handlers.pop(each.fileno(), None):
            self.poll.unregister(each)
        each.close()

    def step(self, seconds: float) -> None:
        for fd, _ in self.poll.poll(seconds):
            if handler := self.handlers.get(fd):
                handler()

    def lines(self) -> Iterator[bytes]:
        """Lines of standard input, to its end; what others ask is answered meanwhile."""
        rest = b""
        while True:
            while not select.select([0], [], [], 0)[0]:
                self.step(0.02)
            data = os.read(0, 1 << 20)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from lines

    # What others ask.

    def _serve(self, kind: int, port: int) -> None:
        stream, datagrams = make(kind, socket.SOCK_STREAM), make(kind, socket.SOCK_DGRAM)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in (stream, datagrams):
            each.bind(("::" if kind == 6 else "0.0.0.0", port))
            self.kept.append(each)
        stream.listen(1024)
        if kind == 6:
            datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            datagrams.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.watch(stream, select.EPOLLIN, lambda: self._accept(stream))
        self.watch(datagrams, select.EPOLLIN, lambda: self._reply(datagrams))

    def _accept(self, stream: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                client, address = stream.accept()
                with client:
                    client.send(f"{self.name} {address[0]}\n".encode())

    def _reply(self, datagrams: socket.socket) -> None:
        """From the address that was asked: another would be nobody's answer."""
        with contextlib.suppress(BlockingIOError):
            while True:
                _, ancillary, _, address = datagrams.recvmsg(2048, 256)
                text = f"{self.name} {address[0].partition('%')[0]}".encode()
                datagrams.sendmsg([text], [back(*each) for each in ancillary], 0, address)

    def _hear_pings(self, kind: int) -> socket.socket:
        protocol = socket.IPPROTO_ICMPV6 if kind == 6 else socket.IPPROTO_ICMP
        raw = make(kind, socket.SOCK_RAW, protocol)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.watch(raw, select.EPOLLIN, lambda: self._hear(raw, kind))
        return raw

    def _hear(self, raw: socket.socket, kind: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, address = raw.recvfrom(2048)
                message = data[(data[0] & 15) * 4 :] if kind == 4 else data
                token = message[8:].decode(errors="replace")
                if message[0] == ECHO[kind][0]:
                    self.arrivals[token] = address[0].partition("%")[0]
                elif message[0] == ECHO[kind][1] and (probe := self.pings.pop(token, None)):
                    probe.ends("answered", token, "")

    # What we ask.

    def batch(self, asked: list[Any], patience: float) -> list[Result]:
        probes = [Probe(self, *each) for each in asked]
        self.heard = time.monotonic()
        again = self.heard + RESEND
        while (waiting := [p for p in probes if not p.result]) and time.monotonic() < self.heard + patience:
            self.step(0.05)
            if again and time.monotonic() > again:
                again = 0.0
                for probe in waiting:
                    probe.send()
        for probe in probes:
            probe.close()
        self.pings.clear()
        return [probe.result or ["silent", "", ""] for probe in probes]


class Probe:
    """One packet's question and its answer."""

    serial = 0

    def __init__(self, prober: Prober, protocol: str, address: str, port: int) -> None:
        Probe.serial += 1
        self.prober = prober
        self.result: Result = []
        self.kind = 6 if ":" in address else 4
        address, _, link = address.partition("%")
        self.to: Any = (address, port, 0, socket.if_nametoindex(link)) if link else (address, port)
        self.protocol = protocol
        self.token = f"{prober.name} {os.getpid()} {Probe.serial}"
        self.socket: socket.socket | None = None
        try:
            self._start()
        except OSError as error:
            self.fails(error)

    def _start(self) -> None:
        if self.protocol == "icmp":
            self.prober.pings[self.token] = self
            self._ping()
            return
        self.socket = make(self.kind, socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # TCP: it is under way
            self.socket.connect(self.to)
        if self.protocol == "udp":
            self.socket.send(self.token.encode())
        self.prober.watch(self.socket, select.EPOLLIN, self._answer)

    def send(self) -> None:
        """Once more, what no protocol sends again by itself."""
        try:
            if self.protocol == "icmp":
                self._ping()
            elif self.protocol == "udp" and self.socket:
                self.socket.send(self.token.encode())
        except OSError as error:
            self.fails(error)

    def _ping(self) -> None:
        body = self.token.encode()
        head = struct.pack("!BBHHH", ECHO[self.kind][0], 0, 0, Probe.serial & 0xFFFF, 1)
        if self.kind == 4:  # the kernel sums up ICMPv6 only
            head = struct.pack("!BBHHH", 8, 0, checksum(head + body), Probe.serial & 0xFFFF, 1)
        self.prober.icmp[self.kind].sendto(head + body, (self.to[0], 0, *self.to[2:]))

    def _answer(self) -> None:
        assert self.socket
        try:
            words = self.socket.recv(2048).decode().split()
        except BlockingIOError:
            return
        except OSError as error:
            self.fails(error)
            return
        if len(words) == 2:
            self.ends("answered", *words)
        else:
            self.ends("refused", "", "")

    def fails(self, error: OSError) -> None:
        if error.errno in UNREACHABLE:
            self.ends("unreachable", "", "")
        elif error.errno in REFUSED:
            self.ends("refused", "", "")
        else:
            raise error

    def ends(self, *result: str) -> None:
        self.result = list(result)
        self.prober.heard = time.monotonic()
        self.close()

    def close(self) -> None:
        if self.socket:
            self.prober.forget(self.socket)
            self.socket = None


def make(kind: int, form: int, protocol: int = 0) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if kind == 6 else socket.AF_INET, form, protocol)
    if kind == 6 and form != socket.SOCK_RAW:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def back(level: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
    """The control message that makes a datagram leave from the address that it answers for."""
    if level == socket.IPPROTO_IP:
        index, local, _ = struct.unpack("=i4s4s", data)
        del index
        return level, kind, struct.pack("=i4s4s", 0, local, local)
    return level, kind, data


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    prober = Prober(sys.argv[1], [int(port) for port in sys.argv[2:]])
    print("ready", flush=True)
    for line in prober.lines():
        order = json.loads(line)
        if order.get("arrivals"):
            answer: object = prober.arrivals
            prober.arrivals = {}
        else:
            answer = prober.batch(order["probes"], order["patience"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
