"""nftables as the kernel speaks it (linux/netfilter/nf_tables.h): what of it is not left to libnftables.

Builders return ``netlink.Message``; readers turn a message's body into small frozen values. Nothing here does
I/O. Numbers are big-endian, other than in the rest of netlink.
"""

import struct
from dataclasses import dataclass

from fairway.kernel.netlink import NLM_F_DUMP, Message, attribute, attribute_list, attributes, text

NFPROTO_INET = 1
FAMILIES = {"inet": NFPROTO_INET, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 16, 17
NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE, NFT_MSG_DELTABLE = 0, 1, 2
NFT_MSG_NEWCHAIN, NFT_MSG_GETCHAIN, NFT_MSG_DELCHAIN = 3, 4, 5
NFT_MSG_NEWRULE, NFT_MSG_GETRULE, NFT_MSG_DELRULE = 6, 7, 8
NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM = 12, 13, 14
NFT_MSG_NEWGEN, NFT_MSG_GETGEN = 15, 16
NFTA_TABLE_NAME, NFTA_TABLE_FLAGS, NFTA_TABLE_OWNER = 1, 2, 7
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE = 1, 3, 4, 5, 7
NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY = 1, 2
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA = 1, 2, 4, 7
NFTA_LIST_ELEM, NFTA_EXPR_NAME, NFTA_EXPR_DATA = 1, 1, 2
NFTA_CT_DREG, NFTA_CT_KEY = 1, 2
NFTA_SET_NAME = 2
NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS = 1, 2, 3
NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_DATA = 1, 2
NFTA_GEN_PROC_PID = 2
NFTNL_UDATA_RULE_COMMENT = 0

_HEADER = struct.Struct("!BBH")  # struct nfgenmsg: family, version, resource
_LASTING_OF_A_CHAIN = (NFTA_CHAIN_HOOK, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain: ``content`` is what it does, apart from its rules."""

    table: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of ``chain``: ``content`` is what it does, without handles and what was counted."""

    table: str
    chain: str
    comment: str
    content: bytes


def message(kind: int, flags: int, body: bytes = b"", family: int = NFPROTO_INET) -> Message:
    return Message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, _HEADER.pack(family, 0, 0) + body)


def number(kind: int, value: int) -> bytes:
    """A 32-bit number, perhaps a negative one."""
    return attribute(kind, struct.pack("!i", value))


def batch(kind: int, sequence: int) -> bytes:
    """Where a transaction begins or ends; not acknowledged."""
    body = _HEADER.pack(0, 0, NFNL_SUBSYS_NFTABLES)
    return struct.pack("=IHHII", 16 + len(body), kind, 1, sequence, 0) + body


def get_table(name: str, family: int = NFPROTO_INET) -> Message:
    return message(NFT_MSG_GETTABLE, 0, text(NFTA_TABLE_NAME, name), family)


def get_generation() -> Message:
    """Asks for the generation of the ruleset; the answer names the thread that asks."""
    return message(NFT_MSG_GETGEN, 0)


def dump_chains(family: int = NFPROTO_INET) -> Message:
    """All chains of the family, whatever table."""
    return message(NFT_MSG_GETCHAIN, NLM_F_DUMP, b"", family)


def dump_rules(table: str, family: int = NFPROTO_INET) -> Message:
    return message(NFT_MSG_GETRULE, NLM_F_DUMP, text(NFTA_RULE_TABLE, table), family)


def dump_elements(table: str, name: str, family: int = NFPROTO_INET) -> Message:
    """All elements of a set or map."""
    body = text(NFTA_SET_ELEM_LIST_TABLE, table) + text(NFTA_SET_ELEM_LIST_SET, name)
    return message(NFT_MSG_GETSETELEM, NLM_F_DUMP, body, family)


def parts(body: bytes) -> dict[int, bytes]:
    """The attributes of a message about nftables."""
    return attributes(body[_HEADER.size :])


def string(value: bytes | None) -> str:
    return (value or b"").rstrip(b"\0").decode(errors="replace")


def read_thread(body: bytes) -> int:
    """The thread that a message about a generation names."""
    return int.from_bytes(parts(body).get(NFTA_GEN_PROC_PID, b""), "big")


def read_chain(body: bytes) -> Chain:
    found = parts(body)
    content = [attribute(kind, found[kind]) for kind in _LASTING_OF_A_CHAIN if kind in found]
    return Chain(string(found[NFTA_CHAIN_TABLE]), string(found[NFTA_CHAIN_NAME]), b"".join(content))


def read_rule(body: bytes) -> Rule:
    found = parts(body)
    content = []
    for _, expression in attribute_list(found.get(NFTA_RULE_EXPRESSIONS, b"")):
        inside = attributes(expression)
        name = inside.get(NFTA_EXPR_NAME, b"")
        content.append(name + (b"" if name == b"counter\0" else inside.get(NFTA_EXPR_DATA, b"")))
    user = found.get(NFTA_RULE_USERDATA, b"")
    return Rule(
        string(found[NFTA_RULE_TABLE]),
        string(found[NFTA_RULE_CHAIN]),
        _comment(user),
        b"".join(content) + user,
    )


def _comment(user: bytes) -> str:
    """User data is what the kernel only keeps: type and length, a byte each, and the value, repeatedly."""
    while len(user) > 1:
        kind, length = user[0], user[1]
        if kind == NFTNL_UDATA_RULE_COMMENT:
            return string(user[2 : 2 + length])
        user = user[2 + length :]
    return ""
