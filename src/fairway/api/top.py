"""``GET /containers/{id}/top``: the host's ``ps``, limited to the container's processes."""

import asyncio
import re
import shlex
from collections.abc import Collection, Sequence

from fairway.model.errors import InvalidParameter, System

DEFAULT = "-ef"
_RENAMED_PID = re.compile(r"(?:^|[\s,])pid=(?!PID)", re.IGNORECASE)


async def top(pids: Collection[int], arguments: str) -> tuple[Sequence[str], list[list[str]]]:
    """Titles and rows of ``ps`` with these arguments. Raises InvalidParameter, System."""
    given = arguments or DEFAULT
    if _RENAMED_PID.search(given):
        raise InvalidParameter('specifying "ps" fields in the form "pid=name" is not supported')
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise InvalidParameter(f"invalid ps arguments: {error}") from None
    try:
        process = await asyncio.create_subprocess_exec(
            "ps",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise System(f"Error running ps: {error}") from None
    output, complaint = await process.communicate()
    if process.returncode:
        first, *_ = complaint.decode(errors="replace").splitlines() or [f"exit status {process.returncode}"]
        raise System(f"ps: {first}")
    return table(output.decode(errors="replace"), pids)


def table(output: str, pids: Collection[int]) -> tuple[Sequence[str], list[list[str]]]:
    """The rows of ``ps`` output that belong to ``pids``; the last column takes the rest of its line.

    Raises System without a PID column.
    """
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise System("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows = (line.split(maxsplit=len(titles) - 1) for line in lines[1:])
    return titles, [row for row in rows if len(row) > column and row[column] in set(map(str, pids))]
