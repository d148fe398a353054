"""An Engine API on a unix socket that answers from a table: the same JSON for stock ``docker`` and for ours.

A route is ``(method, path without version) → answer``; an answer is JSON data, ``Raw`` bytes, an ``Error``,
an ``Upgrade``, or a function of the request. ``/containers/*/json`` answers for every name without a route of
its own. Every request is recorded, so that bodies can be compared as well as output.
"""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Request:
    """One request as received: ``query`` maps to lists, ``body`` is decoded JSON or the bytes."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method, self.headers = method, headers
        self.path = re.sub(r"^/v[\d.]+(?=/)", "", parts.path)
        self.query = parse_qs(parts.query)
        try:
            self.body: Any = json.loads(body) if body else None
        except ValueError:
            self.body = body


class Raw:
    """A body sent as it is."""

    def __init__(self, body: bytes = b"", kind: str = "text/plain") -> None:
        self.body, self.kind = body, kind


class Upgrade:
    """A 101; then ``talk`` has the connection: by default it sends ``output`` and reads to the end."""

    def __init__(self, output: bytes = b"", talk: Callable[[socket.socket], None] | None = None) -> None:
        self.output, self.talk = output, talk or self._send

    def _send(self, connection: socket.socket) -> None:
        connection.sendall(self.output)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            continue


class Error:
    """An error of the daemon."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


Answer = Any
_SWITCH = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)
Routes = dict[tuple[str, str], Answer]


class CannedEngine:
    """Serves ``routes`` at ``host`` while used as a context manager."""

    def __init__(self, path: Path, routes: Routes) -> None:
        self.host = f"unix://{path}"
        self.routes, self.requests = routes, list[Request]()
        engine = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                # A client that has what it wants may leave before the answer's end.
                with suppress(BrokenPipeError, ConnectionResetError):
                    while engine._serve(self):
                        continue

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self._server = Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> CannedEngine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def sent(self, method: str, path: str) -> list[Request]:
        """The requests received for a route."""
        return [r for r in self.requests if (r.method, r.path) == (method, path)]

    def _serve(self, handler: socketserver.StreamRequestHandler) -> bool:
        """One request; whether the connection stays open."""
        request = _read(handler)
        if request is None:
            return False
        self.requests.append(request)
        answer = self._answer(request)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Upgrade):
            handler.wfile.write(_SWITCH)
            answer.talk(handler.connection)
            return False
        status, kind, body = _encode(answer)
        head = f"HTTP/1.1 {status} X\r\nApi-Version: 1.51\r\nOstype: linux\r\nContent-Type: {kind}\r\n"
        closing = request.headers.get("connection") == "close"
        handler.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        handler.wfile.write(b"" if request.method == "HEAD" else body)
        return not closing

    def _answer(self, request: Request) -> Answer:
        if request.path == "/_ping":
            return Raw(b"OK")
        for name in (request.path, re.sub(r"^/(\w+)/[^/]+", r"/\1/*", request.path)):
            if (request.method, name) in self.routes:
                return self.routes[request.method, name]
        return Error(404, "page not found")


def _read(handler: socketserver.StreamRequestHandler) -> Request | None:
    line = handler.rfile.readline().decode()
    if not line.strip():
        return None
    method, target, _ = line.split()
    headers = {}
    while text := handler.rfile.readline().decode().strip():
        key, _, value = text.partition(":")
        headers[key.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
    else:
        body = handler.rfile.read(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


def _encode(answer: Answer) -> tuple[int, str, bytes]:
    if isinstance(answer, Raw):
        return 200, answer.kind, answer.body
    if isinstance(answer, Error):
        return answer.status, "application/json", json.dumps({"message": answer.message}).encode()
    if answer is None:
        return 204, "application/json", b""
    return 200, "application/json", json.dumps(answer).encode() + b"\n"
