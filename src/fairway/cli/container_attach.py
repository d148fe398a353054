"""``attach``: our standard streams joined to a running container's."""

from __future__ import annotations

from fairway.api.client import quote
from fairway.cli import session, terminal
from fairway.cli.command import ONE, Command, Invocation
from fairway.cli.exits import FAILED, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING


def _attach(given: Invocation) -> int:
    options, client, container = given.options, given.client, given.args[0]
    found = client.get(f"/containers/{quote(container)}/json")
    state, tty = found["State"], found["Config"]["Tty"]
    for field, problem in (
        ("Restarting", "You cannot attach to a restarting container, wait until it is running"),
        ("Paused", "You cannot attach to a paused container, unpause it first"),
    ):
        if state.get(field):
            raise Exit(FAILED, problem)
    if not state["Running"]:
        raise Exit(FAILED, "You cannot attach to a stopped container, start it first")
    stdin = not options.flag("no-stdin") and bool(found["Config"]["OpenStdin"])
    terminal.check_tty(stdin, tty)
    waiting = session.await_exit(client, container, "")
    keys = options.text("detach-keys")
    with session.signals_forwarded(options.flag("sig-proxy") and not tty, client, container):
        stream = session.attach(client, container, stdin=stdin, stdout=True, stderr=True, keys=keys)
        resize = f"/containers/{quote(container)}/resize"
        if session.converse(client, resize, stream, tty=tty, stdin=stdin, keys=keys):
            waiting.close()
            raise Exit(FAILED, "read escape sequence")
        return session.exit_status(waiting)


ATTACH = Command(
    _attach,
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    ONE,
    (
        Flag("detach-keys", STRING, "Override the key sequence for detaching a container"),
        Flag("no-stdin", BOOL, "Do not attach STDIN"),
        Flag("sig-proxy", BOOL, "Proxy all received signals to the process", default=True),
    ),
    complete="containers",
)
