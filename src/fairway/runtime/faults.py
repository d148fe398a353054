"""What crun, runc and conmon say when a process cannot be started → Docker's error.

The stock CLI derives its exit status from words in the text: "executable file not found" and "no such file
or directory" give 127, "permission denied" gives 126, anything else 125 (docker/cli,
``runStartContainerErr``). crun words these differently from runc, which Docker uses, so they are reworded;
what neither knows is passed on.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from fairway.model.errors import Fault, InvalidParameter, System

_CREATE = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
_EXEC = "OCI runtime exec failed: exec failed: "
_STARTING = "unable to start container process: "
_COMMAND_AT_FAULT = (
    "executable file not found",
    "no such file or directory",
    "permission denied",
    "not a directory",
)

_MISSING = re.compile(r"executable file `(?P<name>.*)` not found in \$PATH")
_REFUSED = re.compile(r"open executable: (Permission denied|Operation not permitted|Is a directory)")
_CHDIR = re.compile(r"chdir `(?P<path>.*)`: (?P<reason>.*)")
_RUNC_PREFIX = re.compile(r"^(runc create failed|exec failed): |^" + _STARTING)


class _Line(msgspec.Struct, frozen=True):
    msg: str
    level: str = "error"


@contextlib.contextmanager
def system(what: str) -> Iterator[None]:
    """What the system refuses meanwhile becomes a fault: "cannot ``what``: No space left on device: FILE"."""
    try:
        yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise System(f"cannot {what}: {error.strerror or error}{where}") from error


def logged(path: Path) -> str:
    """The runtime's last error in its JSON log; empty if there is none.

    Behind it crun puts, raw, what the failed process left on its terminal: the same error in colour.
    A line that is no JSON counts only where there is nothing else.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ""
    raw = ""
    for line in reversed(lines):
        try:
            entry = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            raw = raw or line.decode(errors="replace").strip()
            continue
        if entry.level == "error":
            return entry.msg
    return raw


def creating(message: str, argv: list[str]) -> Fault:
    """The fault for a container that could not be created; ``message`` is the runtime's or conmon's."""
    cause = _cause(message, argv)
    return _fault(
        f"{_CREATE}runc create failed: {_STARTING}error during container init: {cause}: unknown", cause
    )


def refusing(cause: str) -> Fault:
    """The fault for what no runtime accepts, in runc's words."""
    return System(f"{_CREATE}runc create failed: {cause}: unknown")


def executing(message: str, argv: list[str]) -> Fault:
    """The fault for an exec that could not start."""
    cause = _cause(message, argv)
    return _fault(f"{_EXEC}{_STARTING}{cause}: unknown", cause)


def _fault(text: str, cause: str) -> Fault:
    return InvalidParameter(text) if any(words in cause for words in _COMMAND_AT_FAULT) else System(text)


def _cause(message: str, argv: list[str]) -> str:
    """The message in runc's words, without its own prefixes."""
    message = message.strip()
    while stripped := _RUNC_PREFIX.match(message):
        message = message[stripped.end() :]
    if found := _MISSING.search(message):
        name = found["name"]
        if "/" in name:
            return f'exec: "{name}": stat {name}: no such file or directory'
        return f'exec: "{name}": executable file not found in $PATH'
    if _REFUSED.search(message):
        return f'exec: "{argv[0]}": permission denied'
    if found := _CHDIR.search(message):
        return f'chdir to cwd ("{found["path"]}") set in config.json failed: {found["reason"].lower()}'
    return re.sub(
        "No such file or directory|Permission denied|Not a directory", lambda m: m[0].lower(), message
    )
