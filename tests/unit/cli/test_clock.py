"""The API's times."""

import pytest

from fairway.cli.clock import api_moment, go_time, parse_stamp
from fairway.model.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("1970-01-01T00:00:01Z", (1, 0)),
        ("1970-01-01T02:00:00.5+02:00", (0, 500_000_000)),
        ("2024-05-01T10:00:00.123456789Z", (1714557600, 123456789)),
        ("yesterday", None),
    ],
)
def test_stamps(text: str, stamp: tuple[int, int] | None) -> None:
    assert parse_stamp(text) == stamp


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2024-05-01T10:00:00.120Z", "2024-05-01 10:00:00.12 +0000 UTC"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01 10:00:00 +0200 +0200"),
        ("soon", "soon"),
    ],
)
def test_as_go_prints_it(text: str, shown: str) -> None:
    assert go_time(text) == shown


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", ""),
        ("1714557600.5", "1714557600.5"),
        ("10m", "400"),
        ("1970-01-01T00:00:02.5Z", "2.500000000"),
        ("1970-01-02Z", "86400.000000000"),
    ],
)
def test_moments_for_the_api(text: str, moment: str) -> None:
    assert api_moment(text, now=1000.0) == moment


def test_no_moment() -> None:
    with pytest.raises(InvalidParameter, match='failed to parse value as time or duration: "soon"'):
        api_moment("soon", now=1000.0)
