"""A small synchronous HTTP/1.1 client for the Engine API, over a unix socket, TCP or TLS.

``http.client`` does the same, but imports the e-mail package: 20 ms of CPU for a command that may take 60.
What is needed here is little: one request per connection, bodies that are JSON or a stream, answers that
are JSON, a stream of JSON lines or bytes, and the upgrade to a raw stream (``Upgrade: tcp``) that attach
and exec use.

Paths are sent without an API version unless ``version`` is set: the daemon then answers in its own.
Source: RFC 9112; the Engine API's "Attach to a container" for the upgrade.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from fairway.model.errors import Fault, InvalidParameter, System, Unavailable

DEFAULT_HOST = "unix:///run/fairway/fairway.sock"
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_READ = 65536

Query = Mapping[str, str | int | bool | Iterable[str] | None]


class ApiError(Fault):
    """The daemon answered with an error: ``status`` is the HTTP status, ``message`` the daemon's text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(Unavailable):
    """Nobody listens at the daemon's address, or this user may not talk to it."""


class Tls:
    """Files for ``tcp`` hosts; ``verify`` False accepts any certificate of the daemon."""

    def __init__(self, ca: str, cert: str, key: str, verify: bool) -> None:
        self.ca, self.cert, self.key, self.verify = ca, cert, key, verify


class Response:
    """An answer whose body is still to be read, once, by exactly one of the reading methods."""

    def __init__(self, wire: _Wire, status: int, headers: dict[str, str], bodiless: bool) -> None:
        self._wire, self.status, self.headers = wire, status, headers
        self._bodiless = bodiless or status in (204, 304) or 100 <= status < 200

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives; closes the connection at its end. Raises System if it breaks off."""
        try:
            if self._bodiless:
                return
            if "chunked" in self.headers.get("transfer-encoding", "").lower():
                yield from self._wire.chunked()
            elif "content-length" in self.headers:
                yield from self._wire.exactly(int(self.headers["content-length"]))
            else:
                yield from self._wire.rest()
        except ConnectionError as error:
            raise System("unexpected EOF") from error
        finally:
            self._wire.close()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The body decoded; None when it is empty."""
        text = self.read()
        return json.loads(text) if text.strip() else None

    def json_stream(self) -> Iterator[Any]:
        """The values of a body of concatenated JSON texts, each as soon as it is complete."""
        decoder, pending = json.JSONDecoder(), ""
        import codecs

        characters = codecs.getincrementaldecoder("utf-8")()
        for chunk in self.chunks():
            pending = (pending + characters.decode(chunk)).lstrip()
            while pending:
                try:
                    value, end = decoder.raw_decode(pending)
                except json.JSONDecodeError:
                    break
                yield value
                pending = pending[end:].lstrip()

    def close(self) -> None:
        """Leave the rest of the body unread."""
        self._wire.close()


class Stream:
    """The raw two-way byte stream that an upgraded request turns into.

    ``headers`` are those of the answer. ``socket`` may be given to ``select``; ask ``pending`` first, as
    bytes may have arrived together with the headers.
    """

    def __init__(self, wire: _Wire, headers: dict[str, str]) -> None:
        self._wire, self.headers = wire, headers

    @property
    def socket(self) -> socket.socket:
        return self._wire.sock

    @property
    def pending(self) -> bool:
        """Whether ``receive`` would return at once."""
        return bool(self._wire.buffer)

    def receive(self) -> bytes:
        """Some bytes; empty when the daemon has closed its side."""
        return self._wire.some()

    def send_some(self, data: bytes) -> int:
        """As much of ``data`` as goes without waiting; how many bytes that was."""
        sock = self._wire.sock
        sock.setblocking(False)
        try:
            return sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            # With TLS the same is told in OpenSSL's words, and ssl is not imported for this alone.
            if type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
                return 0
            raise
        finally:
            sock.setblocking(True)

    def end_input(self) -> None:
        """Tell the daemon that nothing more will be sent; it may go on sending."""
        try:
            self._wire.sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The other side is gone already: then there is nobody left to tell.
            return

    def close(self) -> None:
        self._wire.close()


class Client:
    """Requests to one daemon.

    ``host`` is ``unix:///path``, ``tcp://host:port`` (with ``tls`` for https); ``version`` a path prefix
    such as ``1.43``, or empty. Every method raises ``Unreachable`` when nobody listens, ``ApiError`` for a
    status from 400.
    """

    def __init__(self, host: str = DEFAULT_HOST, tls: Tls | None = None, version: str = "") -> None:
        self.host, self._tls = host, tls
        self._prefix = f"/v{version.removeprefix('v')}" if version else ""
        kind, _, self._address = host.partition("://")
        if kind not in ("unix", "tcp", "http", "https") or not self._address:
            raise InvalidParameter(f"unable to resolve docker endpoint: invalid bind address format: {host}")
        self._unix = kind == "unix"

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Any = None,
        *,
        data: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request, ``body`` as JSON or ``data`` chunked, and wait for the answer's head."""
        wire = self._connect()
        try:
            self._send(wire, method, path, query, body, data, headers or {})
            return _checked(wire, method)
        except OSError as error:
            wire.close()
            raise System(f"error during connect: {method} {path}: {error.strerror or error}") from error
        except BaseException:
            wire.close()
            raise

    def get(self, path: str, query: Query | None = None) -> Any:
        """The decoded answer of a GET."""
        return self.request("GET", path, query).json()

    def post(self, path: str, query: Query | None = None, body: Any = None) -> Any:
        """The decoded answer of a POST."""
        return self.request("POST", path, query, body).json()

    def delete(self, path: str, query: Query | None = None) -> Any:
        """The decoded answer of a DELETE."""
        return self.request("DELETE", path, query).json()

    def hijack(self, path: str, query: Query | None = None, body: Any = None) -> Stream:
        """POST with an upgrade to a raw stream (the daemon may answer 101 or, as old ones do, 200)."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = self.request("POST", path, query, body, headers=upgrade)
        return Stream(response._wire, response.headers)

    def _connect(self) -> _Wire:
        try:
            if self._unix:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    sock.connect(self._address)
                except OSError:
                    sock.close()
                    raise
                return _Wire(sock)
            return _Wire(self._connect_tcp())
        except PermissionError as error:
            raise Unreachable(
                f"permission denied while trying to connect to the Fairway daemon socket at {self.host}: "
                f"connect: permission denied"
            ) from error
        except OSError as error:
            if type(error).__module__ == "ssl":
                raise System(f"error during connect: {error}") from error
            raise Unreachable(
                f"Cannot connect to the Fairway daemon at {self.host}. Is fairwayd running?"
            ) from error

    def _connect_tcp(self) -> socket.socket:
        name, _, port = self._address.split("/")[0].rpartition(":")
        name = name.strip("[]")
        sock = socket.create_connection((name, int(port)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return sock
        import ssl

        context = ssl.create_default_context(cafile=self._tls.ca if self._tls.verify else None)
        if not self._tls.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self._tls.cert, self._tls.key)
        return context.wrap_socket(sock, server_hostname=name)

    def _send(
        self,
        wire: _Wire,
        method: str,
        path: str,
        query: Query | None,
        body: Any,
        data: Iterable[bytes] | None,
        headers: Mapping[str, str],
    ) -> None:
        fields = {"Host": "fairway", "User-Agent": "Fairway-Client", "Connection": "close", **headers}
        payload = b""
        if data is not None:
            fields.setdefault("Content-Type", "application/x-tar")
            fields["Transfer-Encoding"] = "chunked"
        elif body is not None:
            payload = json.dumps(body, separators=(",", ":")).encode()
            fields.update({"Content-Type": "application/json", "Content-Length": str(len(payload))})
        elif method == "POST":
            fields["Content-Length"] = "0"
        target = f"{self._prefix}{path}{_query(query or {})}"
        lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in fields.items())]
        wire.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        if data is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                # The daemon may refuse before it has read everything: its answer says why.
                wire.send_chunked(data)


class _Wire:
    """A connection and the bytes that were received but not yet read."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock, self.buffer = sock, b""

    def some(self) -> bytes:
        if self.buffer:
            taken, self.buffer = self.buffer, b""
            return taken
        return self.sock.recv(_READ)

    def line(self) -> bytes:
        """One line without its end; ConnectionError when the connection ends first."""
        while (end := self.buffer.find(b"\n")) < 0:
            more = self.sock.recv(_READ)
            if not more:
                raise ConnectionResetError("EOF")
            self.buffer += more
        taken, self.buffer = self.buffer[:end], self.buffer[end + 1 :]
        return taken.rstrip(b"\r")

    def exactly(self, count: int) -> Iterator[bytes]:
        while count:
            part = self.some()
            if not part:
                raise System("unexpected EOF")
            taken, self.buffer = part[:count], part[count:] + self.buffer
            count -= len(taken)
            yield taken

    def chunked(self) -> Iterator[bytes]:
        while size := int(self.line().split(b";")[0], 16):
            yield from self.exactly(size)
            self.line()
        while self.line():
            """Trailers carry nothing that anybody here reads."""

    def rest(self) -> Iterator[bytes]:
        while part := self.some():
            yield part

    def send_chunked(self, data: Iterable[bytes]) -> None:
        for part in data:
            if part:
                self.sock.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        self.sock.sendall(b"0\r\n\r\n")

    def close(self) -> None:
        self.sock.close()


def _checked(wire: _Wire, method: str) -> Response:
    """The answer's head; its error as ``ApiError``."""
    status = 100
    headers: dict[str, str] = {}
    while status == 100:
        status = int(wire.line().split(b" ", 2)[1])
        headers = {}
        while line := wire.line():
            key, _, value = line.decode("latin-1").partition(":")
            headers[key.strip().lower()] = value.strip()
    response = Response(wire, status, headers, bodiless=method == "HEAD")
    if status >= 400:
        raise ApiError(status, _message(response.read(), status))
    return response


def _message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or f"request returned HTTP status {status}"


def _query(query: Query) -> str:
    """``?a=1&b=2``; None is left out, booleans are 1 and left out when false, lists repeat the key."""
    pairs: list[tuple[str, str]] = []
    for key, value in query.items():
        if value is None or value is False:
            continue
        if isinstance(value, str | int):
            pairs.append((key, "1" if value is True else str(value)))
        else:
            pairs += [(key, item) for item in value]
    text = "&".join(f"{quote(key)}={quote(value)}" for key, value in pairs)
    return f"?{text}" if text else ""


def quote(text: str) -> str:
    """``text`` percent-encoded for a path segment or a query (RFC 3986 §2.1)."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())
