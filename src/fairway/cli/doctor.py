"""``doctor``: where this host is not as Fairway's records say, in words, and mending it.

Ends with 0 if nothing differs (any more), else with 1. What other programs do to Fairway's networks is told
as a note: it is theirs to change.
"""

from __future__ import annotations

import sys
from typing import Any

from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL


def _doctor(given: Invocation) -> int:
    fix = given.options.flag("fix")
    client = given.client
    found = client.post("/fairway/doctor/fix") if fix else client.get("/fairway/doctor")
    differences = found["Differences"]
    for each in differences:
        sys.stdout.write(f"{'mended: ' if each['Fixed'] else ''}{_line(each)}\n")
    for problem in found["Problems"]:
        given.warn(problem)
    for note in client.get("/info").get("Warnings") or ():
        sys.stdout.write(f"note: {note.removeprefix('WARNING: ')}\n")
    left = sum(not each["Fixed"] for each in differences)
    sys.stdout.write(f"{_summary(len(differences), left, fix)}\n")
    return FAILED if left else OK


def _line(each: dict[str, Any]) -> str:
    """``network web: interface br-0123456789ab is missing``"""
    return f"{' '.join(filter(None, (each['Kind'], each['Name'])))}: {each['Text']}"


def _summary(count: int, left: int, fix: bool) -> str:
    if not count:
        return "nothing differs: this host is as the records say"
    if not left:
        return f"{count} mended, nothing differs any more"
    if fix:
        return f"{count - left} mended, {left} left"
    return f"{count} {'difference' if count == 1 else 'differences'}; to mend: fairway doctor --fix"


DOCTOR = Command(
    _doctor,
    "[OPTIONS]",
    "Show where this host is not as the records say, and mend it",
    NONE,
    (Flag("fix", BOOL, "Mend what can be mended"),),
)
