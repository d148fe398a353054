"""Facts about the engine and its host."""

from collections.abc import Callable

import msgspec

from fairway.engine.events import Events
from fairway.model.system import SystemFacts


class System:
    """``facts`` looks at the host each time; the daemon knows how."""

    def __init__(self, facts: Callable[[], SystemFacts], events: Events) -> None:
        self._facts = facts
        self._events = events
        self._reloaded: tuple[tuple[str, ...], bool] | None = None

    def info(self) -> SystemFacts:
        facts = self._facts()
        if self._reloaded is None:
            return facts
        labels, debug = self._reloaded
        return msgspec.structs.replace(facts, labels=labels, debug=debug)

    def reload(self, labels: tuple[str, ...], debug: bool) -> None:
        """Take over what can change while the daemon runs, and tell of it."""
        self._reloaded = (labels, debug)
        facts = self.info()
        self._events.emit("daemon", "reload", facts.id, {"name": facts.name, "labels": ",".join(labels)})
