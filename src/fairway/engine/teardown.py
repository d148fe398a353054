"""Taking back what the state no longer has: it goes on to the end whatever fails on the way, and says so."""

from collections.abc import Iterable, Sequence

from fairway.engine.core import Core
from fairway.engine.state import Stored
from fairway.model.errors import Fault
from fairway.plan import Plan


async def withdraw_wholly(core: Core, plan: Plan, whose: str) -> None:
    """Take every step that can be taken; ``whose`` names the object in the log."""
    faults: Sequence[Fault]
    try:
        faults = await core.kernel.withdraw(plan)
    except Fault as fault:
        faults = [fault]
    if faults:
        core.doubt.set()
    for each in faults:
        core.log.warning("the kernel did not follow", object=whose, error=each.message)


async def record(
    core: Core, *put: Stored, delete: Iterable[Stored] = (), end: Stored | Sequence[Stored] = ()
) -> None:
    """Store what has happened; if the store refuses, memory has it all the same."""
    try:
        await core.state.record(*put, delete=delete, end=end)
    except Fault as fault:
        core.log.warning("cannot store what has happened", error=fault.message)
