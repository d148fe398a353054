"""``exec``: another process in a running container. Ends with that process's exit status."""

from __future__ import annotations

from fairway.api.client import quote
from fairway.cli import session, terminal
from fairway.cli.command import Arity, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, LIST, STRING
from fairway.cli.labels import environment
from fairway.cli.run_kinds import VARIABLES


def _exec(given: Invocation) -> int:
    options, client = given.options, given.client
    container, command = given.args[0], given.args[1:]
    detached, tty, stdin = options.flag("detach"), options.flag("tty"), options.flag("interactive")
    keys = options.text("detach-keys")
    body = {
        "User": options.text("user"),
        "Privileged": options.flag("privileged"),
        "Tty": tty,
        "Detach": detached,
        "AttachStdin": stdin and not detached,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "DetachKeys": keys,
        "Env": environment(options.items("env-file"), options.items("env")),
        "WorkingDir": options.text("workdir"),
        "Cmd": command,
    }
    # Asked first, so that a missing container is reported rather than the missing terminal.
    client.get(f"/containers/{quote(container)}/json")
    if not detached:
        terminal.check_tty(stdin, tty)
    path = f"/exec/{client.post(f'/containers/{quote(container)}/exec', body=body)['Id']}"
    size = terminal.size() if tty else None
    start = {"Detach": detached, "Tty": tty, **({"ConsoleSize": list(size)} if size else {})}
    if detached:
        client.request("POST", f"{path}/start", body=start).read()
        return OK
    stream = client.hijack(f"{path}/start", body=start)
    if session.converse(client, f"{path}/resize", stream, tty=tty, stdin=stdin, keys=keys):
        raise Exit(FAILED, "read escape sequence")
    return int(client.get(f"{path}/json").get("ExitCode") or 0)


EXEC = Command(
    _exec,
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    Arity(2, None),
    (
        Flag("detach", BOOL, "Detached mode: run command in the background", short="d"),
        Flag("detach-keys", STRING, "Override the key sequence for detaching a container"),
        Flag("env", VARIABLES, "Set environment variables", short="e"),
        Flag("env-file", LIST, "Read in a file of environment variables"),
        Flag("interactive", BOOL, "Keep STDIN open even if not attached", short="i"),
        Flag("privileged", BOOL, "Give extended privileges to the command"),
        Flag("tty", BOOL, "Allocate a pseudo-TTY", short="t"),
        Flag("user", STRING, 'Username or UID (format: "<name|uid>[:<group|gid>]")', short="u"),
        Flag("workdir", STRING, "Working directory inside the container", short="w"),
    ),
    interspersed=False,
    complete="containers",
)
