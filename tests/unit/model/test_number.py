"""Numbers in what clients send."""

import pytest

from fairway.model.number import decimal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("65535", 65535),
        ("0" * 5000 + "8", 8),
        ("65536", None),
        ("", None),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1_0", None),
        ("²", None),
        ("١", None),
        ("9" * 5000, None),
    ],
)
def test_decimal(text: str, value: int | None) -> None:
    assert decimal(text, 65535) == value
