"""The Docker API over the daemon's socket, as plainly as possible: a request, a status, JSON."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode


class NoReply(Exception):
    """The connection ended without an answer: the daemon died, or is not there."""


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("fairway", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """One connection a request: nothing of one is left for the next."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    def call(self, method: str, path: str, body: Any = None, *, timeout: float = 15, **query: Any) -> Reply:
        """Raises NoReply."""
        target = quote(path) + ("?" + urlencode(query) if query else "")
        connection = _Connection(self._path, timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, target, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoReply(f"{method} {target}: {error!r}") from error
        finally:
            connection.close()
        kind = response.headers.get("Content-Type", "")
        return Reply(response.status, json.loads(text) if text and "json" in kind else text)

    def get(self, path: str, **query: Any) -> Any:
        reply = self.call("GET", path, **query)
        assert reply.ok, f"GET {path}: {reply}"
        return reply.body

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        reply = self.call("POST", path, body, **query)
        assert reply.ok, f"POST {path}: {reply}"
        return reply.body

    def delete(self, path: str, **query: Any) -> Any:
        reply = self.call("DELETE", path, **query)
        assert reply.ok or reply.status == 404, f"DELETE {path}: {reply}"
        return reply.body
