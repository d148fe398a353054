"""All tables and zones of the resolver, and the responder made of them for each sandbox.

A table lives as long as a zone lists it, so nobody has to remember to remove tables. Responders are made
again for exactly the sandboxes that a publication concerns; all others keep their answers at hand.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fairway.dns.responder import Responder
from fairway.dns.upstreams import MAX_SERVERS, Server, parse_server
from fairway.model.dns import NetworkNames, Zone


class Entry(NamedTuple):
    """What serves one sandbox."""

    responder: Responder
    upstreams: tuple[Server, ...] | None
    """None: those of the host."""


UNKNOWN = Entry(Responder(None), ())
"""Serves a sandbox whose zone has not been published yet."""


class Directory:
    """Who answers for which sandbox."""

    def __init__(self) -> None:
        self._networks: dict[str, NetworkNames] = {}
        self._members: dict[str, set[str]] = {}
        """Network id → sandboxes whose zone lists it."""
        self._zones: dict[str, Zone] = {}
        self._entries: dict[str, Entry] = {}

    def entry(self, sandbox: str) -> Entry:
        return self._entries.get(sandbox, UNKNOWN)

    def sandboxes(self) -> Iterable[str]:
        return self._zones.keys()

    def publish(self, networks: Iterable[NetworkNames], zones: Iterable[Zone]) -> None:
        """Put all of them in place, or none: raises InvalidParameter if an upstream is no address."""
        zones = tuple(zones)
        upstreams = {zone.sandbox: _upstreams(zone) for zone in zones}
        touched = set(upstreams)
        for zone in zones:
            self._leave(zone.sandbox)
            self._zones[zone.sandbox] = zone
            for network in zone.networks:
                self._members.setdefault(network, set()).add(zone.sandbox)
        for table in networks:
            self._networks[table.id] = table
            touched |= self._members.get(table.id, set())
        for sandbox in touched:
            servers = upstreams[sandbox] if sandbox in upstreams else self._entries[sandbox].upstreams
            self._entries[sandbox] = Entry(self._responder(self._zones[sandbox]), servers)
        self._drop_unlisted()

    def withdraw(self, sandbox: str) -> None:
        self._leave(sandbox)
        self._zones.pop(sandbox, None)
        self._entries.pop(sandbox, None)
        self._drop_unlisted()

    def _responder(self, zone: Zone) -> Responder:
        return Responder(zone, [self._networks[n] for n in zone.networks if n in self._networks])

    def _leave(self, sandbox: str) -> None:
        zone = self._zones.get(sandbox)
        for network in zone.networks if zone else ():
            self._members[network].discard(sandbox)

    def _drop_unlisted(self) -> None:
        for network in [n for n, members in self._members.items() if not members]:
            del self._members[network]
        for network in self._networks.keys() - self._members.keys():
            del self._networks[network]


def _upstreams(zone: Zone) -> tuple[Server, ...] | None:
    if not zone.upstreams:
        return None
    return tuple(parse_server(text) for text in zone.upstreams[:MAX_SERVERS])
