"""Addresses as requests spell them."""

import pytest

from fairway.model.address import parse_address
from fairway.model.errors import InvalidParameter


@pytest.mark.parametrize(("text", "canonical"), [("192.0.2.1", "192.0.2.1"), ("FD00:0::1", "fd00::1")])
def test_addresses_are_canonical(text: str, canonical: str) -> None:
    assert parse_address(text, "address") == canonical


@pytest.mark.parametrize(
    "text", ["", "192.0.2.256", "fe80::1%eth0", "fe80::1%x . tcp . 1 : fd00::9 . 80, fe80::2"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InvalidParameter, match="is not an IP address"):
        parse_address(text, "address")
