"""Exit codes and error texts: the one place where an error becomes what the user and the script see.

``0`` done; ``1`` refused; ``64`` a template that cannot be parsed by ``inspect``; ``125`` wrong options, or
a container that was never started by ``run``; ``126`` its command cannot be executed; ``127`` it does not
exist; otherwise the container's own exit status. Source: Docker's "Exit status" page and docker/cli
``cmd/docker``.
"""

from __future__ import annotations

from fairway.api.client import ApiError
from fairway.model.errors import Fault

OK, FAILED, TEMPLATE, NEVER_STARTED, NOT_EXECUTABLE, NOT_FOUND = 0, 1, 64, 125, 126, 127


class Exit(Exception):
    """End with ``code``; ``text`` (may be empty) goes to standard error first."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code, self.text = code, text


def describe(fault: Fault) -> str:
    """The line for the user: what the daemon says is marked as such."""
    if isinstance(fault, ApiError):
        return f"Error response from daemon: {fault.message}"
    return fault.message


def start_status(message: str) -> int:
    """The exit code for a container that could not be started, from the daemon's text (docker/cli
    toStatusError).
    """
    if any(
        text in message
        for text in (
            "executable file not found",
            "no such file or directory",
            "system cannot find the file specified",
        )
    ):
        return NOT_FOUND
    if "permission denied" in message or "is a directory" in message:
        return NOT_EXECUTABLE
    return NEVER_STARTED


def advice(path: str, text: str) -> str:
    """``text`` as ``run`` reports it: with the command's name in front and the way to its help behind."""
    program, _, command = path.partition(" ")
    return f"{program}: {text}\n\nRun '{program} {command} --help' for more information"
