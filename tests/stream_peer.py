"""One end of a TCP connection that moves data both ways without pause: a program, run where it shall be.

    python stream_peer.py listen 0.0.0.0 80 | connect 10.0.0.1 80

It says ``ready`` when it listens or is connected. It sends 32 KB every 5 ms, of bytes that never repeat, and
keeps a digest of all it sends and of all it receives. A line on its standard input asks for the longest pause
between two receives since the last one, in seconds; when its input ends, it sends no more, receives to the
end, and tells in JSON what it has sent and received.
"""

import hashlib
import json
import os
import select
import socket
import sys
import time

CHUNK, EVERY = 32_768, 0.005


class Peer:
    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._digests = {"sent": hashlib.blake2b(), "received": hashlib.blake2b()}
        self._bytes = {"sent": 0, "received": 0}
        self._pending = b""
        self._number = 0
        self._last = time.monotonic()
        self._longest = 0.0

    def run(self) -> None:
        self._socket.setblocking(False)
        own = self._socket.fileno()
        due, asked, open_ = time.monotonic(), True, True
        while open_:
            wait = max(0.0, due - time.monotonic()) if asked else 5.0
            writing = [own] if self._pending else []
            readable, writable, _ = select.select([own, *([0] if asked else [])], writing, [], wait)
            if own in readable:
                open_ = self._receive()
            if 0 in readable:
                asked = self._answer()
            if asked and not self._pending and time.monotonic() >= due:
                self._number += 1
                self._pending = hashlib.blake2b(b"%d" % self._number).digest() * (CHUNK // 64)
                due = max(due + EVERY, time.monotonic() - 10 * EVERY)
            if writable or self._pending:
                self._send()
            if not asked and not self._pending:
                self._socket.shutdown(socket.SHUT_WR)
                while self._receive():
                    select.select([self._socket], [], [], 5)
                open_ = False
        print(json.dumps({k: [n, self._digests[k].hexdigest()] for k, n in self._bytes.items()}), flush=True)

    def _receive(self) -> bool:
        """Whether there may be more."""
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return True
        self._pause()
        self._note("received", data)
        return bool(data)

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._pending)
        except BlockingIOError:
            return
        self._note("sent", self._pending[:sent])
        self._pending = self._pending[sent:]

    def _note(self, way: str, data: bytes) -> None:
        self._bytes[way] += len(data)
        self._digests[way].update(data)

    def _pause(self) -> None:
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now

    def _answer(self) -> bool:
        """Whether it shall go on."""
        asked = os.read(0, 4096)
        if asked:
            longest = max(self._longest, time.monotonic() - self._last)
            print(longest, flush=True)
            self._longest = 0.0
        return bool(asked)


def main(how: str, address: str, port: int) -> None:
    if how == "listen":
        with socket.create_server((address, port)) as listener:
            print("ready", flush=True)
            connection, _ = listener.accept()
    else:
        connection = socket.create_connection((address, port), 10)
        print("ready", flush=True)
    Peer(connection).run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
