"""The ``filters`` query parameter, and the comparisons that Docker makes with it.

Two spellings exist: ``{"name": ["a", "b"]}`` and, from clients of API 1.22 on, ``{"name": {"a": true}}``.
Values of one filter are alternatives, filters together must all hold; labels must all hold, too. Each verb
declares the names it knows; another name is an error, not ignored (API, "filters").
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

import msgspec

from fairway.api import times
from fairway.model.errors import InvalidParameter
from fairway.model.request import PruneFilter, has_label

_TRUE = ("1", "true", "True")
_FALSE = ("0", "false", "False")


class Filters:
    """Parsed filters: name → values, in the order given."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def get(self, name: str) -> Sequence[str]:
        return self._values.get(name, ())

    def exact(self, name: str, candidates: Collection[str]) -> bool:
        """Whether one of the candidates was asked for; true if the filter was not given."""
        wanted = self._values.get(name)
        return not wanted or any(value in candidates for value in wanted)

    def match(self, name: str, *candidates: str) -> bool:
        """Like ``exact``, and values are also regular expressions found anywhere in the candidate."""
        wanted = self._values.get(name)
        return not wanted or any(
            value == text or _found(value, text) for value in wanted for text in candidates
        )

    def labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether all wanted labels (``key`` or ``key=value``) are there."""
        return all(has_label(dict(labels), wanted) for wanted in self._values.get(name, ()))

    def boolean(self, name: str) -> bool | None:
        """None if not given. Raises InvalidParameter for other words or for both at once."""
        given = set(self._values.get(name, ()))
        if not given:
            return None
        truth, falsehood = given & set(_TRUE), given & set(_FALSE)
        if given - truth - falsehood or (truth and falsehood):
            raise InvalidParameter(f"invalid filter '{name}={sorted(given)}'")
        return bool(truth)

    def one_of(self, name: str, allowed: Collection[str]) -> None:
        """Raise InvalidParameter for a value outside ``allowed``."""
        for value in self._values.get(name, ()):
            if value not in allowed:
                raise InvalidParameter(f"invalid filter '{name}={value}'")

    def until(self, now: int) -> int:
        """The moment of the ``until`` filter in ns, 0 if not given; it may be given once."""
        given = self._values.get("until", ())
        if len(given) > 1:
            raise InvalidParameter("more than one until filter specified")
        return times.parse(given[0], now) if given else 0


def parse(text: str, accepted: Collection[str]) -> Filters:
    """The query parameter as sent, checked against the names a verb knows.

    Raises InvalidParameter: ``invalid filter`` for what is no filter map, ``invalid filter 'x'`` for a name.
    """
    if not text:
        return Filters({})
    values = _decode(text)
    for name in values:
        if name not in accepted:
            raise InvalidParameter(f"invalid filter '{name}'")
    return Filters(values)


def _decode(text: str) -> dict[str, tuple[str, ...]]:
    try:
        document = msgspec.json.decode(text.encode(), type=dict[str, dict[str, bool] | list[str] | None])
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise InvalidParameter("invalid filter") from None
    return {
        name: tuple(value for value, on in given.items() if on) if isinstance(given, dict) else tuple(given)
        for name, given in document.items()
        if given
    }


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:  # like Docker: what is no expression matches only literally
        return None


def _found(value: str, text: str) -> bool:
    pattern = _pattern(value)
    return pattern is not None and pattern.search(text) is not None


PRUNE = frozenset({"label", "label!", "until"})


def prune(filters: Filters, now: int, *, all_: bool = False) -> PruneFilter:
    """What the engine's prune verbs take."""
    return PruneFilter(
        until=filters.until(now),
        labels=tuple(filters.get("label")),
        not_labels=tuple(filters.get("label!")),
        all=all_,
    )
