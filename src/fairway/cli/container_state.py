"""Commands that change the state of containers named: stop, restart, kill, pause, unpause, wait, rm, rename.

Several containers are worked on at the same time, as stopping may take ten seconds each; names are printed in
the order given, those that fail are reported and the others still done.
"""

from __future__ import annotations

from collections.abc import Callable

from fairway.api.client import ApiError, quote
from fairway.cli.command import SOME, TWO, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, INT, STRING
from fairway.model.errors import Fault

_AT_ONCE = 50


def each(given: Invocation, work: Callable[[str], str]) -> int:
    """``work`` on every name; what it returns is printed, what it raises is reported. The exit code."""
    names, outcomes = given.args, dict[int, str | Fault]()

    def attempt(number: int) -> None:
        try:
            outcomes[number] = work(names[number])
        except Fault as fault:
            outcomes[number] = fault

    if len(names) == 1:
        attempt(0)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(attempt, range(len(names))))
    faults = []
    for number in range(len(names)):
        outcome = outcomes[number]
        if isinstance(outcome, Fault):
            faults.append(outcome)
        elif outcome:
            given.line(outcome)
    for fault in faults:
        given.warn(describe(fault))
    return FAILED if faults else OK


def _post(verb: str, given: Invocation, query: dict[str, str | int | None] | None = None) -> int:
    def work(name: str) -> str:
        given.client.request("POST", f"/containers/{quote(name)}/{verb}", query).read()
        return name

    return each(given, work)


def _with_timeout(verb: str) -> Callable[[Invocation], int]:
    def run(given: Invocation) -> int:
        options = given.options
        timeout = options.number("timeout") if options.given("timeout") else None
        return _post(verb, given, {"signal": options.text("signal") or None, "t": timeout})

    return run


def _kill(given: Invocation) -> int:
    return _post("kill", given, {"signal": given.options.text("signal") or None})


def _wait(given: Invocation) -> int:
    def work(name: str) -> str:
        answer = given.client.post(f"/containers/{quote(name)}/wait")
        return str(answer["StatusCode"])

    return each(given, work)


def _rm(given: Invocation) -> int:
    options = given.options
    query = {"v": options.flag("volumes"), "link": options.flag("link"), "force": options.flag("force")}

    def work(name: str) -> str:
        trimmed = name.strip("/")
        try:
            given.client.request("DELETE", f"/containers/{quote(trimmed)}", query).read()
        except ApiError as error:
            if error.status == 404 and options.flag("force"):
                given.warn(describe(error))
                return ""
            raise
        return name

    return each(given, work)


def _rename(given: Invocation) -> int:
    old, new = given.args
    if not old or not new:
        raise Exit(FAILED, "Error: Neither old nor new names may be empty")
    try:
        given.client.request("POST", f"/containers/{quote(old)}/rename", {"name": new}).read()
    except ApiError as error:
        raise Exit(FAILED, f"{describe(error)}\nError: failed to rename container named {old}") from error
    return OK


_MANY = "[OPTIONS] CONTAINER [CONTAINER...]"
_PLAIN = "CONTAINER [CONTAINER...]"
_TIMEOUT = (
    Flag("signal", STRING, "Signal to send to the container", short="s"),
    Flag("timeout", INT, "Seconds to wait before killing the container", short="t"),
    Flag("time", INT, alias_of="timeout", deprecated="use --timeout instead"),
)

STOP = Command(
    _with_timeout("stop"), _MANY, "Stop one or more running containers", SOME, _TIMEOUT, complete="containers"
)
RESTART = Command(
    _with_timeout("restart"), _MANY, "Restart one or more containers", SOME, _TIMEOUT, complete="containers"
)
KILL = Command(
    _kill,
    _MANY,
    "Kill one or more running containers",
    SOME,
    (Flag("signal", STRING, "Signal to send to the container", short="s"),),
    complete="containers",
)
PAUSE = Command(
    lambda given: _post("pause", given),
    _PLAIN,
    "Pause all processes within one or more containers",
    SOME,
    complete="containers",
)
UNPAUSE = Command(
    lambda given: _post("unpause", given),
    _PLAIN,
    "Unpause all processes within one or more containers",
    SOME,
    complete="containers",
)
WAIT = Command(
    _wait,
    _PLAIN,
    "Block until one or more containers stop, then print their exit codes",
    SOME,
    complete="containers",
)
RM = Command(
    _rm,
    _MANY,
    "Remove one or more containers",
    SOME,
    (
        Flag("force", BOOL, "Force the removal of a running container (uses SIGKILL)", short="f"),
        Flag("link", BOOL, "Remove the specified link", short="l"),
        Flag("volumes", BOOL, "Remove anonymous volumes associated with the container", short="v"),
    ),
    complete="containers",
)
RENAME = Command(_rename, "CONTAINER NEW_NAME", "Rename a container", TWO, complete="containers")
