"""Sizes, durations, shortening, order."""

import pytest

from fairway.cli.units import (
    ellipsis,
    human_bytes,
    human_duration,
    human_size,
    natural,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("42", 42), ("1k", 1024), ("1.5 MiB", 1572864), ("2G", 2**31), ("1tb", 2**40), ("32B", 32)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "1x", "-1", "1.2.3.", "1 2"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid (size|suffix)"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1ns", 1),
        ("1.5s", 1_500_000_000),
        ("1h2m3s", 3723 * 10**9),
        ("-1us", -1000),
        (".5ms", 500_000),
    ],
)
def test_durations_are_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5", 'missing unit in duration "5"'),
        ("5x", 'unknown unit "x" in duration "5x"'),
        ("", 'invalid duration ""'),
        ("s", "invalid"),
    ],
)
def test_wrong_durations(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (4262000, "4.262MB"), (123456789, "123.5MB"), (1e12, "1TB")],
)
def test_sizes_are_shown(size: float, text: str) -> None:
    assert human_size(size) == text
    assert human_bytes(8123456789) == "7.566GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations_are_shown(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_shortening() -> None:
    assert ellipsis("abcdef", 6) == "abcdef"
    assert ellipsis("abcdefg", 6) == "abcde…"
    assert ellipsis("ab", 1) == "a"


def test_natural_order() -> None:
    assert sorted(["web10", "web2", "a", "web"], key=natural) == ["a", "web", "web2", "web10"]
