"""``/exec``: commands in running containers (API, "Exec")."""

import asyncio

from aiohttp import web

from fairway.api import bodies, detach, shapes
from fairway.api.containers import dimensions
from fairway.api.hijack import Connection, Hijacked, content_type, frame, pump, take_over
from fairway.api.replies import empty, json_reply
from fairway.api.routing import Call, Route
from fairway.model.errors import Fault
from fairway.model.process import Exec, ExecProcess, StreamName

_SETTLE_SECONDS = 2.0


async def create(call: Call) -> web.Response:
    body = await call.body(bodies.ExecBody, "ExecOptions")
    detach.parse(body.detach_keys)
    identifier = await call.engine.execs.create(call.path["id"], body.request())
    return json_reply({"Id": identifier}, 201)


async def start(call: Call) -> web.StreamResponse:
    """Detached: answered once started. Otherwise hijacked until the command's output ends.

    The head goes out before the command starts, as Docker does it: clients that read the head with a buffer
    would swallow output that comes with it. A command that cannot be started is told on the stream, since
    clients then read the exit code (126, 127) from inspect; only what concerns the exec itself is an error.
    """
    body = await call.body(bodies.ExecStartBody, "ExecStartOptions")
    instance = call.engine.execs.find(call.path["id"])
    size = body.console_size or (0, 0)
    if body.detach:
        await call.engine.execs.start(instance.id, console_size=size)
        return empty(200)
    call.engine.execs.check(instance.id)
    connection = take_over(call.request, content_type(body.tty, call.version))
    try:
        await _converse(call, instance, size, connection, raw=body.tty)
    finally:
        connection.close()
    return Hijacked()


async def _converse(
    call: Call, instance: Exec, size: tuple[int, int], connection: Connection, *, raw: bool
) -> None:
    """``raw`` is what the start said of a terminal: it decides the framing, whatever the create said."""
    try:
        process = await _begin(call, instance, size)
    except Fault as fault:
        await _tell(connection, fault.message, raw=raw)
        return
    try:
        detached = await pump(
            connection,
            process.streams,
            stdin=instance.request.attach_stdin,
            wanted=_wanted(instance),
            tty=raw,
            detach=_scanner(instance),
        )
        if not detached and not connection.lost.is_set():
            await _settle(process)
    finally:
        process.streams.close()


async def _begin(call: Call, instance: Exec, size: tuple[int, int]) -> ExecProcess:
    """Start, uninterrupted; if the client has gone meanwhile, nobody will read the streams."""
    starting = asyncio.ensure_future(call.engine.execs.start(instance.id, console_size=size))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_abandon)
        raise


def _abandon(started: asyncio.Future[ExecProcess]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().streams.close()


async def _settle(process: ExecProcess) -> None:
    """Clients ask for the exit code right after the stream's end: let it be known by then.

    Not without bound, as a command may close its output and go on.
    """
    await asyncio.wait([asyncio.ensure_future(process.exit)], timeout=_SETTLE_SECONDS)


async def _tell(connection: Connection, message: str, *, raw: bool) -> None:
    text = f"{message}\r\n".encode()
    await connection.write(text if raw else frame("stdout", text))


def _wanted(instance: Exec) -> frozenset[StreamName]:
    asked = instance.request
    flags: tuple[tuple[StreamName, bool], ...] = (
        ("stdout", asked.attach_stdout),
        ("stderr", asked.attach_stderr),
    )
    return frozenset(name for name, on in flags if on)


def _scanner(instance: Exec) -> detach.Scanner | None:
    return detach.Scanner(detach.parse(instance.request.detach_keys)) if instance.request.tty else None


async def resize(call: Call) -> web.Response:
    await call.engine.execs.resize(call.path["id"], *dimensions(call))
    return empty(200)


async def inspect(call: Call) -> web.Response:
    return json_reply(shapes.exec_inspect(call.engine.execs.find(call.path["id"])))


ROUTES = (
    Route("POST", "/containers/{id*}/exec", create),
    Route("POST", "/exec/{id}/start", start, stream=True),
    Route("POST", "/exec/{id}/resize", resize),
    Route("GET", "/exec/{id}/json", inspect),
)
