"""Listings of libnftables that are no JSON."""

import pytest

from fairway.kernel.nft import parse
from fairway.model.errors import System

CHAIN = '{"chain": {"family": "inet", "table": "t", "name": "c"}}'


def listing(*tables: str) -> str:
    return f'{{"nftables": [{", ".join((*tables, CHAIN))}]}}'


@pytest.mark.parametrize("flags", ['"owner"', '"\x01\ufffd', "", "\x00", '"a", "b"', "}, {", '"x\n"y'])
def test_flags_of_a_table_may_be_anything(flags: str) -> None:
    table = f'{{"table": {{"family": "inet", "name": "t", "handle": 1, "flags": {flags}}}}}'
    found = parse(listing(table, table))
    assert [next(iter(entry)) for entry in found] == ["table", "table", "chain"]
    assert found[0]["table"]["name"] == "t"
    assert parse(f'{{"nftables": [{table}]}}')[0]["table"]["handle"] == 1


def test_what_is_no_listing() -> None:
    with pytest.raises(System, match="no JSON"):
        parse('{"nftables": [')
