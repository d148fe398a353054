"""``start``: containers that exist already, attached to one of them if asked."""

from __future__ import annotations

from fairway.api.client import ApiError, quote
from fairway.cli import session, terminal
from fairway.cli.command import SOME, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING


def _start(given: Invocation) -> int:
    options = given.options
    if options.flag("attach") or options.flag("interactive"):
        if len(given.args) > 1:
            raise Exit(FAILED, "you cannot start and attach multiple containers at once")
        return _attached(given)
    failed = []
    for container in given.args:
        try:
            given.client.request("POST", f"/containers/{quote(container)}/start").read()
        except ApiError as error:
            given.warn(describe(error))
            failed.append(container)
            continue
        given.line(container)
    if failed:
        raise Exit(FAILED, f"Error: failed to start containers: {', '.join(failed)}")
    return OK


def _attached(given: Invocation) -> int:
    client, options = given.client, given.options
    found = client.get(f"/containers/{quote(given.args[0])}/json")
    container, tty = found["Id"], found["Config"]["Tty"]
    stdin = options.flag("interactive") and bool(found["Config"]["OpenStdin"])
    terminal.check_tty(stdin, tty)
    keys = options.text("detach-keys")
    with session.signals_forwarded(options.flag("attach") and not tty, client, container):
        stream = session.attach(client, container, stdin=stdin, stdout=True, stderr=True, keys=keys)
        waiting = session.await_exit(
            client, container, "removed" if found["HostConfig"].get("AutoRemove") else "next-exit"
        )
        try:
            session.start(client, container, lambda error: Exit(FAILED, describe(error)))
        except Exit:
            stream.close()
            raise
        if session.converse(
            client, f"/containers/{container}/resize", stream, tty=tty, stdin=stdin, keys=keys
        ):
            waiting.close()
            return OK
        return session.exit_status(waiting)


START = Command(
    _start,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    SOME,
    (
        Flag("attach", BOOL, "Attach STDOUT/STDERR and forward signals", short="a"),
        Flag("detach-keys", STRING, "Override the key sequence for detaching a container"),
        Flag("interactive", BOOL, "Attach container's STDIN", short="i"),
    ),
    complete="containers",
)
