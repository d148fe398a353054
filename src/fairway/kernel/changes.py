"""What the kernel's events mean: whether somebody else changed something of ours. Pure.

What this process does itself is told apart by what an event says, not by when it comes:

    links       what we delete is in the reaper's group before anything else happens to it, and from then on
                nobody's: what the kernel goes on to tell of it, and of its far end, is of no interest
    addresses,  our own requests carry the port number of one of our sockets; those that the kernel makes or
    routes      takes by itself, and what is inside a sandbox but not on our link, are not ours
    nftables    a transaction ends with an event that names the thread that made it

Known links come from a dump, and from events afterwards. Not noticed: a mark that is taken off a link, and
the MTU or MAC of a veth's far end, which containers may change that are allowed to.
"""

import struct
from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import replace

from fairway.kernel.netlink import envelopes
from fairway.kernel.nfnetlink import (
    NFT_MSG_DELCHAIN,
    NFT_MSG_DELRULE,
    NFT_MSG_DELSETELEM,
    NFT_MSG_DELTABLE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWGEN,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWTABLE,
    NFTA_CHAIN_NAME,
    NFTA_RULE_CHAIN,
    NFTA_SET_ELEM_LIST_SET,
    NFTA_SET_NAME,
    NFTA_TABLE_NAME,
    parts,
    read_thread,
    string,
)
from fairway.kernel.rtnetlink import (
    KERNEL_ADDRESSES,
    LEARNED_ROUTES,
    RT_TABLE_MAIN,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWLINK,
    RTM_NEWNETCONF,
    Link,
    index_of,
    read_address,
    read_forwarding,
    read_link,
    read_route,
)

_MEANINGS = {
    NFT_MSG_NEWCHAIN: (NFTA_CHAIN_NAME, "chain {} added or changed"),
    NFT_MSG_DELCHAIN: (NFTA_CHAIN_NAME, "chain {} deleted"),
    NFT_MSG_NEWRULE: (NFTA_RULE_CHAIN, "rule of chain {} added"),
    NFT_MSG_DELRULE: (NFTA_RULE_CHAIN, "rule of chain {} deleted"),
    NFT_MSG_NEWSETELEM: (NFTA_SET_ELEM_LIST_SET, "element of {} added"),
    NFT_MSG_DELSETELEM: (NFTA_SET_ELEM_LIST_SET, "element of {} deleted"),
}
_ANOTHER = (NFTA_SET_NAME, "set {} changed")
HELD_BACK = 16 << 20
"""Bytes of one transaction that are kept until its end; 10,000 elements have 1.3 MB."""

Place = tuple[int | None, int]
"""A link: the id of its namespace (None: the host's), and its index there."""


class LinkChanges:
    """Takes what rtnetlink tells of the host's namespace, and of those that have an id in it."""

    def __init__(self, alias: str, going: Callable[[Link], bool], senders: Container[int]) -> None:
        """``going`` tells links that we delete; ``senders`` are the port numbers of our sockets."""
        self._alias = alias
        self._mark = alias.encode()
        self._going = going
        self._senders = senders
        self._ours: dict[int, Link] = {}
        self._names: dict[Place, str] = {}
        """Of our links, by where they are; a far end has the name of the end on the host."""

    def know(self, links: Iterable[Link]) -> None:
        """The links of the host, as dumped; what was known before is forgotten."""
        self._ours, self._names = {}, {}
        for link in links:
            if link.alias == self._alias and not self._going(link):
                self._add(link)

    def take(self, namespace: int | None, kind: int, sender: int, body: bytes) -> str:
        """What somebody else did, in a few words; empty if nothing."""
        if sender in self._senders:
            return ""
        if kind == RTM_NEWLINK and namespace is None:
            return self._changed(read_link(body)) if self._mark in body else ""
        if kind == RTM_NEWNETCONF:
            return "forwarding turned off" if namespace is None and read_forwarding(body) is False else ""
        if kind == RTM_DELROUTE:
            return self._route(namespace, body)
        # Most is of what we delete ourselves, and needs no further reading.
        name = self._names.get((namespace, index_of(body)))
        if name is None:
            return ""
        if kind == RTM_DELADDR:
            entry = read_address(body)
            return "" if entry.protocol in KERNEL_ADDRESSES else f"address {entry.address} of {name} removed"
        link = read_link(body)
        if namespace is not None:
            return self._far_end(name, link, gone=kind == RTM_DELLINK)
        self._remove(link.index)
        return f"{name} deleted"

    def _add(self, link: Link) -> None:
        self._ours[link.index] = link
        self._names[None, link.index] = link.name
        if link.kind == "veth" and link.peer_namespace is not None:
            self._names[link.peer_namespace, link.peer] = link.name

    def _remove(self, index: int) -> Link | None:
        link = self._ours.pop(index, None)
        if link is not None:
            self._names.pop((None, index), None)
            self._names.pop((link.peer_namespace, link.peer), None)
        return link

    def _changed(self, link: Link) -> str:
        if link.alias != self._alias:
            return ""
        before = self._remove(link.index)
        if self._going(link):
            return ""
        self._add(link)
        if not link.up:
            return f"{link.name} set down"
        same = before is None or before == replace(link, hairpin=before.hairpin, up=before.up)
        return "" if same else f"{link.name} changed"

    def _far_end(self, name: str, link: Link, *, gone: bool) -> str:
        if link.up and not gone:
            return ""
        return f"{link.name}, the far end of {name}, {'deleted' if gone else 'set down'}"

    def _route(self, namespace: int | None, body: bytes) -> str:
        route = read_route(body)
        name = self._names.get((namespace, route.index))
        if route.gateway is None or route.table != RT_TABLE_MAIN or route.protocol in LEARNED_ROUTES:
            return ""
        return f"route {route.destination} of {name} removed" if name else ""


class TableChanges:
    """Takes what nfnetlink tells of nftables. Datagrams of a transaction come before the one that ends it.

    They are kept unread until then: what 10,000 elements of our own cost is not to be read.
    """

    def __init__(self, tables: Collection[str], watched: Callable[[str], bool], thread: int) -> None:
        """``watched`` tells of a chain or set of the tables, by name, whether it is ours to keep;
        ``thread`` is the one that makes our own changes, as the kernel calls it.
        """
        self._names = [struct.pack("=HH", 5 + len(t), NFTA_TABLE_NAME) + t.encode() + b"\0" for t in tables]
        self._watched = watched
        self._thread = thread
        self._kept: list[bytes] = []
        self._size = 0

    def take(self, data: bytes) -> set[str]:
        """One datagram; what somebody else did, in a few words each."""
        kind, _, _ = next(envelopes(data), (0, 0, b""))
        if kind & 0xFF == NFT_MSG_NEWGEN:
            return self._ended(data)
        self._size += len(data)
        if self._size <= HELD_BACK:
            self._kept.append(data)
        return set()

    def _ended(self, data: bytes) -> set[str]:
        kept, size = self._kept, self._size
        self._kept, self._size = [], 0
        if any(read_thread(body) == self._thread for _, _, body in envelopes(data)):
            return set()
        if size > HELD_BACK:
            return {"more elements or rules changed than can be looked at"}
        found = {self._meaning(each) for data in kept if self._concerns(data) for each in envelopes(data)}
        whole = {each for each in found if each.startswith("table")}
        return whole or found - {""}

    def _concerns(self, data: bytes) -> bool:
        """Whether one of our tables may be in it; a quick look at large transactions of others."""
        return any(name in data for name in self._names)

    def _meaning(self, envelope: tuple[int, int, bytes]) -> str:
        kind, _, body = envelope
        kind &= 0xFF
        if not body[4:].startswith(tuple(self._names)):
            return ""
        found = parts(body)
        table = string(found.get(NFTA_TABLE_NAME))
        if kind in (NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE):
            return f"table {table} {'deleted' if kind == NFT_MSG_DELTABLE else 'changed'}"
        attribute, words = _MEANINGS.get(kind, _ANOTHER)
        name = string(found.get(attribute))
        return words.format(name) if self._watched(name) else ""
