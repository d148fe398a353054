"""A store in memory with the semantics of the durable one, for tests."""

from collections.abc import Callable, Sequence

from fairway.model.record import Change, Put


class MemoryStore:
    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Put] = {}

    def load(self, take: Callable[[Put], None]) -> None:
        for row in tuple(self._rows.values()):
            take(row)

    def commit(self, changes: Sequence[Change]) -> None:
        rows = dict(self._rows)
        for change in changes:
            if isinstance(change, Put):
                rows[change.kind, change.id] = change
            else:
                rows.pop((change.kind, change.id), None)
        self._rows = rows

    def close(self) -> None:
        """Nothing to release."""
