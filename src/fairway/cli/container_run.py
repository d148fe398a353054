"""``run`` and ``create``.

``run`` = create (pulling the image when it is missing), attach, wait, start, copy, end with the container's
own exit status. Whatever fails before the container's process runs ends with 125, 126 or 127 (see
``exits``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairway.api.client import ApiError, Client
from fairway.cli import session, terminal
from fairway.cli.command import SOME, Command, Invocation
from fairway.cli.exits import FAILED, NEVER_STARTED, OK, Exit, advice, describe, start_status
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.pulling import pull
from fairway.cli.reference import Reference
from fairway.cli.run_config import create_body
from fairway.cli.run_options import shared_flags
from fairway.model.errors import InvalidParameter

_PULLS = ("always", "missing", "never")


def _create(given: Invocation) -> int:
    try:
        body = _body(given, detached=False)
    except InvalidParameter as error:
        raise Exit(NEVER_STARTED, advice(given.path, error.message)) from error
    given.line(_made(given, body))
    return OK


def _run(given: Invocation) -> int:
    options, detached = given.options, given.options.flag("detach")
    body = _body(given, detached)
    if not detached:
        terminal.check_tty(bool(body.get("AttachStdin")), bool(body.get("Tty")))
    elif options.given("attach"):
        raise Exit(FAILED, "conflicting options: cannot specify both --attach and --detach")
    container = _made(given, body)
    if detached:
        given.line(container)
        session.start(given.client, container, lambda error: _refused(given, error))
        return OK
    with session.signals_forwarded(options.flag("sig-proxy"), given.client, container):
        return _attached(given, container, body)


def _attached(given: Invocation, container: str, body: dict[str, Any]) -> int:
    client, options = given.client, given.options
    keys, tty, stdin = options.text("detach-keys"), bool(body.get("Tty")), bool(body.get("AttachStdin"))
    stdout, stderr = bool(body.get("AttachStdout")), bool(body.get("AttachStderr"))
    stream = session.attach(client, container, stdin=stdin, stdout=stdout, stderr=stderr, keys=keys)
    waiting = session.await_exit(client, container, "removed" if options.flag("rm") else "next-exit")
    try:
        session.start(client, container, lambda error: _refused(given, error))
    except Exit:
        stream.close()
        if options.flag("rm"):
            waiting.read()
        raise
    if session.converse(client, f"/containers/{container}/resize", stream, tty=tty, stdin=stdin, keys=keys):
        waiting.close()
        return OK
    return session.exit_status(waiting)


def _refused(given: Invocation, error: ApiError) -> Exit:
    program = given.path.partition(" ")[0]
    return Exit(start_status(error.message), advice(f"{program} run", describe(error)))


def _body(given: Invocation, detached: bool) -> dict[str, Any]:
    """The request, checked as Docker's command checks it before it talks to the daemon."""
    choice = given.options.text("pull")
    if choice not in _PULLS:
        raise InvalidParameter(
            f'invalid pull option: \'{choice}\': must be one of "always", "missing" or "never"'
        )
    return create_body(given.options, given.args[0], given.args[1:], detached)


def _made(given: Invocation, body: dict[str, Any]) -> str:
    """The id of the container created, its image pulled when it is not there."""
    client, options = given.client, given.options
    cidfile = options.text("cidfile")
    if cidfile and Path(cidfile).exists():
        raise InvalidParameter(
            f"container ID file found, make sure the other container isn't running or delete {cidfile}"
        )
    query = {"name": options.text("name") or None, "platform": options.text("platform") or None}
    if not (image := body.get("Image", "")):
        raise InvalidParameter("invalid reference format")
    reference = Reference.parse(image)
    if options.text("pull") == "always" and reference:
        _pull(given, client, reference)
    try:
        answer = client.post("/containers/create", query, body)
    except ApiError as error:
        if (
            error.status != 404
            or "No such image" not in error.message
            or options.text("pull") != "missing"
            or not reference
        ):
            raise
        if not options.flag("quiet"):
            given.warn(f"Unable to find image '{reference.familiar}' locally")
        _pull(given, client, reference)
        answer = client.post("/containers/create", query, body)
    for warning in answer.get("Warnings") or ():
        given.warn(f"WARNING: {warning}")
    if cidfile:
        Path(cidfile).write_text(answer["Id"])
    return str(answer["Id"])


def _pull(given: Invocation, client: Client, reference: Reference) -> None:
    """Progress goes to standard error: standard output belongs to the container."""
    pull(client, reference, given.options.text("platform"), to_stderr=True, quiet=given.options.flag("quiet"))


RUN = Command(
    _run,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    SOME,
    (
        *shared_flags('Pull image before running ("always", "missing", "never")'),
        Flag("detach", BOOL, "Run container in background and print container ID", short="d"),
        Flag("detach-keys", STRING, "Override the key sequence for detaching a container"),
        Flag("sig-proxy", BOOL, "Proxy received signals to the process", default=True),
    ),
    interspersed=False,
    failure=NEVER_STARTED,
    advises=True,
    complete="images",
)

CREATE = Command(
    _create,
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    SOME,
    shared_flags('Pull image before creating ("always", "|missing", "never")'),
    interspersed=False,
    complete="images",
)
