"""Have every action of an operation refused, each in the ways in which it can be, and look.

    fails once      the operation fails with an error that says what, and everything is as before; or it copes
    fails for good  so does what takes back, where the operation has to undo: that is logged, and the next
                    start of the daemon clears up

Afterwards the same operation succeeds. What is wrong is collected, not raised.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from faults.api import Reply
from faults.kills import Recording, Result, complaints, recover
from faults.operations import Operation, view
from faults.rig import Rig

KERNEL = ("ENOSPC", "ENOMEM", "EBUSY", "EEXIST", "ENODEV", "EPERM")
ERRORS = {
    "step": KERNEL,
    "netlink": KERNEL,
    "call": ("ENOMEM", "ENOSPC", "EPERM", "EBUSY"),
    "socket": ("EBADF", "ENOBUFS"),
    "nft": ("ENOSPC", "ENOMEM", "EBUSY", "EPERM"),
    "commit": ("ENOSPC", "EROFS", "EIO"),
    "child": ("ENOENT", "EAGAIN", "EXIT"),
    "ask": ("ETIMEDOUT", "ECONNRESET"),
    "tell": ("ETIMEDOUT", "EPIPE"),
    "file": ("ENOSPC", "EROFS", "EPERM"),
}
"""By kind of action, the first word of its label."""
_BARE = re.compile(r"^(\[Errno \d+\] .*|" + "|".join(map(re.escape, map(os.strerror, range(1, 134)))) + r")$")


MEANS_DONE = {("netlink new address", "EEXIST"), ("netlink delete", "ENODEV")}
"""By the beginning of the label: answers by which the kernel says that it is so already. As faults they would
be lies."""
MEANS_GONE = ("netlink set link", "ENODEV")
"""So is this, of a link that is to go."""


class Case(NamedTuple):
    label: str
    number: int
    error: str
    again: bool


def cases(recording: Recording, operation: Operation) -> Iterator[Case]:
    """Each action with each of its errors once, and with one of them for good.

    Of a step as a whole and of a socket it makes no difference which error it is: they take turns.
    """
    lies = MEANS_DONE | {MEANS_GONE} if operation.teardown else MEANS_DONE
    for turn, (label, number, _) in enumerate(recording.places):
        kind = label.partition(" ")[0]
        if label.endswith(("(nothing)", "(answered)")):
            continue
        errors = [e for e in ERRORS[kind] if not any(label.startswith(s) and e == d for s, d in lies)]
        one = errors[turn % len(errors)]
        for error in [one] if kind in ("step", "socket") else errors:
            yield Case(label, number, error, again=False)
        yield Case(label, number, one, again=True)


def refuse(rig: Rig, operation: Operation, recording: Recording, chosen: list[Case]) -> Result:
    result = Result()
    ready = False
    for case in chosen:
        if not ready:
            operation.prepare(rig)
            ready = True
        log_size = len(rig.log())
        rig.order(do="fail", at=case[:2], error=case.error, again=case.again)
        reply = operation.act(rig)
        late = rig.audit(0.3) if reply.ok else []
        happened = rig.order(do="off")
        result.cases += 1
        result.missed += not happened
        log = rig.log()[log_size:]
        found = complaints(log)
        left = late and rig.audit(2) if reply.ok else rig.audit(2)
        # A deletion of links that fails is tried again with the next one.
        reported = (
            "level=warning" in log
            or "failed: " in reply.message
            or (operation.teardown and not reply.ok)
            or all("left over: gone-" in finding for finding in left)
        )
        if left and (operation.teardown or case.again or reply.ok) and reported:
            rig.restart()
            left = rig.audit()
        found += left
        now = view(rig.api)
        if reply.ok:
            partly = reported and operation.between(now, recording.before, recording.after)
            if now != recording.after and not partly:
                found.append(f"done, but: {difference(recording.after, now)}")
        else:
            found += unclear(reply, operation)
            if now != recording.before and not operation.between(now, recording.before, recording.after):
                found.append(f"refused ({reply.message}), but: {difference(recording.before, now)}")
        if not reply.ok and not found and now == recording.before and happened and case.again:
            again = operation.act(rig)
            ready = False
            if not again.ok:
                found.append(f"refused even without a fault: {again.status} {again.message}")
        if reply.ok or now != recording.before or found:
            ready = False
        if not ready:
            found += rig.reset()
        result.findings += [f"{operation.name}, {' '.join(map(str, case))}: {each}" for each in found]
        if found:
            recover(rig)
    if ready:
        result.findings += rig.reset()
    return result


def unclear(reply: Reply, operation: Operation) -> list[str]:
    """What is wrong with an error that a user gets."""
    text = reply.message
    bad = [
        word
        for word in ("Traceback", "internal error", "Internal Server Error", "Errno", "Error(")
        if word in text
    ]
    if bad or len(text) < 12 or _BARE.match(text):
        return [f"an unclear error: {reply.status} {text!r}"]
    return []


def difference(expected: dict[str, object], now: dict[str, object]) -> str:
    return "; ".join(
        f"{key}: {expected.get(key)} became {now.get(key)}"
        for key in sorted({*expected, *now})
        if expected.get(key) != now.get(key)
    )
