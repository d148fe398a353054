"""What the resolver knows: tables of names shared by networks, and one zone per sandbox that refers to them.

A container that starts changes the table of its networks, not the zones of its 200 neighbours: publishing
costs O(names of the network), where a complete snapshot per sandbox would cost O(names x sandboxes).
"""

import msgspec

from fairway.model.address import Address


class NetworkNames(msgspec.Struct, frozen=True, kw_only=True):
    """All names of one network, seen by every sandbox whose zone lists the network.

    ``names`` maps lower-case names without trailing dot to addresses of either family, in the order of the
    containers' ids; the resolver rotates them. It holds the bare forms (``web``, aliases, short ids); the
    resolver itself also answers each of them qualified with ``name``: ``web.net1``. ``reverse`` maps
    addresses to the name that PTR answers in full: ``web.net1``.
    """

    id: str
    name: str
    """Name of the network; ``anything.<name>`` never goes upstream."""
    names: dict[str, tuple[Address, ...]] = {}
    reverse: dict[Address, str] = {}


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """What one sandbox may see, and where to ask for all else: an immutable snapshot, swapped whole.

    ``networks`` are ids of ``NetworkNames`` in the order of lookup: the first that has a name answers.
    ``names`` and ``reverse`` are private to the sandbox and come first: links, in every form that shall
    resolve (``db``, ``db.net1``). ``upstreams`` are ``address`` or ``address:port`` (IPv6:
    ``[addr]:port``) of servers, asked from the daemon's own network namespace; empty means those of the
    host's resolv.conf, whose changes are followed. ``forward`` is False on sandboxes that only have
    internal networks.
    """

    sandbox: str
    networks: tuple[str, ...] = ()
    names: dict[str, tuple[Address, ...]] = {}
    reverse: dict[Address, str] = {}
    upstreams: tuple[str, ...] = ()
    forward: bool = True
