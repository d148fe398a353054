"""Options of log drivers → limits."""

import pytest

from fairway.model.container import LogConfig
from fairway.model.errors import InvalidParameter
from fairway.runtime.log_options import Limits, parse


def limits(driver: str, **options: str) -> Limits | None:
    return parse(LogConfig(type=driver, config={k.replace("_", "-"): v for k, v in options.items()}))


def test_drivers_have_their_own_defaults() -> None:
    assert limits("") is limits("json-file") is limits("none") is limits("json-file", max_file="3") is None
    assert limits("local") == Limits(20 << 20, 5)
    assert limits("json-file", max_size="-1") is None


@pytest.mark.parametrize(
    ("driver", "text", "size"),
    [
        ("json-file", "10m", 10_000_000),
        ("local", "10m", 10 << 20),
        ("json-file", "5", 5),
        ("json-file", "1kb", 1000),
        ("json-file", "1.5 KiB", 1500),
        ("local", "2GiB", 2 << 30),
        ("json-file", "7b", 7),
    ],
)
def test_sizes(driver: str, text: str, size: int) -> None:
    assert limits(driver, max_size=text, max_file="2") == Limits(size, 2)


@pytest.mark.parametrize(
    ("driver", "options", "text"),
    [
        ("json-file", {"max_size": "m"}, "invalid size: 'm'"),
        ("json-file", {"max_size": "-5m"}, "invalid size: '-5m'"),
        ("json-file", {"max_size": "²k"}, "invalid size: '²k'"),
        ("json-file", {"max_size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max_file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max_file": "-3"}, "max-file cannot be less than 1"),
        ("local", {"max_file": "two"}, 'strconv.Atoi: parsing "two": invalid syntax'),
        (
            "json-file",
            {"compress": "true", "max_size": "1m"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"compress": "yes"}, 'strconv.ParseBool: parsing "yes": invalid syntax'),
        ("json-file", {"max_sise": "1m"}, "unknown log opt 'max-sise' for json-file log driver"),
        ("local", {"labels": "a"}, "unknown log opt 'labels' for local log driver"),
        ("none", {"max_size": "1m"}, "unknown log opt 'max-size' for none log driver"),
        ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
        (
            "json-file",
            {"max_buffer_size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
    ],
)
def test_what_is_refused(driver: str, options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        limits(driver, **options)
    assert refused.value.message == text
