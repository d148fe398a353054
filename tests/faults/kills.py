"""Kill the daemon at every boundary of an operation, start it again, and look.

    recorded    the operation once, undisturbed: its boundaries, and what users see before and after it
    killed      once for each boundary: baseline, preparation, operation, death, restart, audit, packets, undo

What is wrong is collected, not raised: one run shows all of it.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from faults.api import NoReply, Reply
from faults.operations import Operation, View, view
from faults.rig import Rig

Moment = tuple[str, int, str]
"""Label and number of an action; before or after it."""


@dataclass
class Recording:
    before: View
    after: View
    places: list[tuple[str, int, bool]]
    """Label, number, and whether the daemon can be killed there; else it is within another action."""


@dataclass
class Result:
    """Cases tried, those that the operation did not pass this time, and what was found."""

    cases: int = 0
    missed: int = 0
    findings: list[str] = field(default_factory=list)


def record(rig: Rig, operation: Operation) -> Recording:
    try:
        return _record(rig, operation)
    except BaseException:
        recover(rig)
        raise


def _record(rig: Rig, operation: Operation) -> Recording:
    operation.prepare(rig)
    settle(rig, operation.name)
    before = view(rig.api)
    rig.order(do="record")
    reply = operation.act(rig)
    assert reply.ok, f"{operation.name}: {reply}"
    settle(rig, operation.name)
    places = [tuple(place) for place in rig.order(do="recorded")]
    rig.order(do="off")
    after = view(rig.api)
    findings = rig.reset()
    assert not findings, f"{operation.name}, undisturbed: {findings}"
    return Recording(before, after, places)


def settle(rig: Rig, what: str) -> None:
    findings = rig.audit()
    assert not findings, f"{what}, undisturbed: {findings}"


def moments(recording: Recording) -> Iterator[Moment]:
    """All of them. After a step and before the next one is the same moment: nothing happens between."""
    places = [place for place in recording.places if place[2]]
    for (label, number, _), following in zip(places, [*places[1:], None], strict=True):
        yield label, number, "before"
        joined = following and label.startswith("step") and following[0].startswith("step")
        if not joined:
            yield label, number, "after"


def kill(rig: Rig, operation: Operation, recording: Recording, chosen: Sequence[Moment]) -> Result:
    result = Result()
    for moment in chosen:
        operation.prepare(rig)
        log_size = len(rig.log())
        rig.order(do="kill", at=moment)
        try:
            reply: Reply | None = operation.act(rig)
        except NoReply:
            reply = None
        result.cases += 1
        if not rig.ended(0.5 if reply else 5):
            result.missed += 1
            rig.order(do="off")
            result.findings += _told(operation, moment, rig.reset())
            continue
        rig.stop()
        rig.start()
        found = rig.audit() + rig.packets() + _atomic(operation, recording, view(rig.api), reply)
        found += complaints(rig.log()[log_size:])
        found += rig.reset()
        result.findings += _told(operation, moment, found)
        if found:
            recover(rig)
    return result


def _atomic(operation: Operation, recording: Recording, now: View, reply: Reply | None) -> list[str]:
    """It happened or it did not; what was acknowledged did."""
    before, after = recording.before, recording.after
    acknowledged = reply is not None and reply.ok
    if now == after or (not acknowledged and (now == before or operation.between(now, before, after))):
        return []
    expected = after if acknowledged else before
    differences = [
        f"{key}: {expected.get(key)} became {now.get(key)}"
        for key in sorted({*expected, *now})
        if expected.get(key) != now.get(key)
    ]
    return ["acknowledged and lost: " * acknowledged + "; ".join(differences)]


def complaints(log: str) -> list[str]:
    """What no daemon should ever log."""
    return [
        f"logged: {line[:300]}"
        for line in log.splitlines()
        if "Traceback" in line or "level=error" in line or "internal error" in line.lower()
    ]


def recover(rig: Rig) -> None:
    """To go on after a finding: whatever a restart and an undo cannot mend is the baseline from now on."""
    rig.restart(signal.SIGKILL)
    for container in rig.api.get("/containers/json", all=1, filters='{"status":["paused"]}'):
        rig.api.call("POST", f"/containers/{container['Id']}/unpause")
    if rig.reset():
        rig.accepted |= set(rig.audit())
        rig.baseline = rig.fingerprint()


def _told(operation: Operation, moment: Sequence[object], found: Sequence[str]) -> list[str]:
    return [f"{operation.name}, {' '.join(map(str, moment))}: {each}" for each in found]
