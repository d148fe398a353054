"""Facts about the engine and its host."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from fairway.engine.events import Events
from fairway.model.system import SystemFacts


class System:
    """``facts`` looks at the host each time; the daemon knows how. So does ``warnings``."""

    def __init__(
        self,
        facts: Callable[[], SystemFacts],
        events: Events,
        warnings: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self._facts = facts
        self._warnings = warnings
        self._events = events
        self._reloaded: tuple[tuple[str, ...], bool] | None = None

    def info(self) -> SystemFacts:
        facts = self._facts()
        if self._reloaded is None:
            return facts
        labels, debug = self._reloaded
        return msgspec.structs.replace(facts, labels=labels, debug=debug)

    async def warnings(self) -> Sequence[str]:
        """What keeps networks from working as one would expect."""
        return await self._warnings()

    def reload(self, labels: tuple[str, ...], debug: bool) -> None:
        """Take over what can change while the daemon runs, and tell of it."""
        self._reloaded = (labels, debug)
        facts = self.info()
        self._events.emit("daemon", "reload", facts.id, {"name": facts.name, "labels": ",".join(labels)})
