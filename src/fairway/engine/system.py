"""Facts about the engine and its host."""

from collections.abc import Callable

from fairway.model.system import SystemFacts


class System:
    """``facts`` looks at the host each time; the daemon knows how."""

    def __init__(self, facts: Callable[[], SystemFacts]) -> None:
        self._facts = facts

    def info(self) -> SystemFacts:
        return self._facts()
