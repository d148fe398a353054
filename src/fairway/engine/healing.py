"""Mending, while the daemon runs, what somebody else changed: woken by the kernel, until nothing differs.

    disturbed → a moment, for what belongs together → mend → look again → … → nothing differs → disturbed

What is under change by an operation is left to that and looked at again. What cannot be mended (another
program has the port, the name, the address) is told once, and tried again at longer and longer intervals.
Looks take at most a fifth of the time, so that somebody who changes things all the time stops nothing else.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from fairway.engine.core import Core
from fairway.engine.reconciling import Outcome, Reconciler
from fairway.model.difference import Difference
from fairway.model.errors import Fault, System

SETTLE = 0.02
"""Seconds from the news to the look: one command makes many changes."""
AGAIN = 0.25
"""Seconds to the next look after something was mended."""
_PATIENCE = 2.0
"""Seconds between looks, at most, while operations change what would be looked at."""
LONGEST = 60.0
_REST = 4.0
"""What a look has taken, so many times, nobody looks."""
_SHOWN = 5
"""Differences of one object that the log spells out."""


class Healing:
    """One task. ``clock`` counts monotonic seconds."""

    def __init__(
        self, core: Core, reconciler: Reconciler, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._core = core
        self._reconciler = reconciler
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._wait: float | None = None
        """Seconds to a look that is due without a reason."""
        self._rested = 0.0
        self._before: tuple[frozenset[Difference], frozenset[str]] = (frozenset(), frozenset())
        """What the last look found, and what could not be done."""

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="healing")
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._core.log.error("nothing is mended any more", exc_info=error)

    async def _run(self) -> None:
        listening = asyncio.ensure_future(self._reason())
        try:
            while True:
                await self._rest(listening)
                if listening.done():
                    self._core.log.debug("the kernel may differ", why=listening.result())
                    listening = asyncio.ensure_future(self._reason())
                    self._wait = AGAIN
                    await self._core.clock.sleep(max(SETTLE, self._rested - self._clock()))
                self._wait = await self._look(self._wait or AGAIN)
        finally:
            listening.cancel()

    async def _reason(self) -> str:
        """Until there is one to look, in words."""
        doubt = self._core.doubt
        disturbed = asyncio.ensure_future(self._core.kernel.disturbed())
        doubted = asyncio.ensure_future(doubt.wait())
        awaited: set[asyncio.Future[Any]] = {disturbed, doubted}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in awaited:
                each.cancel()
        if disturbed.done() and not disturbed.cancelled():
            if error := disturbed.exception():
                return str(error)
            return "; ".join(disturbed.result())
        doubt.clear()
        return "something was not undone"

    async def _rest(self, listening: "asyncio.Future[str]") -> None:
        """Until there is a reason or the time is over."""
        if self._wait is None:
            await asyncio.wait({listening})
            return
        resting = asyncio.ensure_future(self._core.clock.sleep(self._wait))
        awaited: set[asyncio.Future[Any]] = {listening, resting}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            resting.cancel()

    async def _look(self, wait: float) -> float | None:
        """Mend, and tell; seconds to the next look, ``wait`` being those since the last, or None."""
        began = self._clock()
        try:
            outcome = await self._reconciler.mend()
        except Fault as fault:
            outcome = Outcome(faults=(fault,))
        except Exception as error:
            self._core.log.debug("while mending", exc_info=error)
            outcome = Outcome(faults=(System(f"{type(error).__name__}: {error}"),))
        took = self._clock() - began
        self._rested = self._clock() + _REST * took
        found, failed = frozenset(outcome.differences), frozenset(f.message for f in outcome.faults)
        repeated = bool(found) and found == self._before[0]
        self._tell(outcome, repeated)
        self._before = found, failed
        if failed or repeated:
            return min(2 * wait, LONGEST)
        if found:
            return max(AGAIN, _REST * took)
        return min(2 * wait, _PATIENCE) if outcome.waiting else None

    def _tell(self, outcome: Outcome, repeated: bool) -> None:
        log = self._core.log
        event = (
            "somebody else changed what is ours" if outcome.faults else "mended what somebody else changed"
        )
        if not repeated:
            for (kind, name), texts in grouped(outcome.differences).items():
                more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
                what = "; ".join(texts[:_SHOWN]) + more
                log.warning(event, object=f"{kind} {name}".strip(), what=what)
        for text in (fault.message for fault in outcome.faults):
            if text not in self._before[1]:
                log.warning("cannot mend what somebody else changed", error=text)


def grouped(differences: Sequence[Difference]) -> dict[tuple[str, str], list[str]]:
    """Texts by kind and name of whom they are about."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in differences:
        found.setdefault((each.kind, each.name), []).append(each.text)
    return found
