"""What one sandbox's resolver knows: an immutable snapshot, swapped whole by the engine."""

import msgspec

from fairway.model.address import Address


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """Names that one sandbox may see, and where to ask for all others.

    ``names`` maps lower-case names without trailing dot to addresses of either family, in the order of the
    containers' ids; the resolver rotates them. It already holds every form that resolves: ``web``,
    ``web.net1``, aliases, short ids, links. ``reverse`` maps addresses to the name that PTR answers.
    ``upstreams`` are ``address`` or ``address:port`` (IPv6: ``[addr]:port``) of servers, asked from the
    daemon's own network namespace; ``forward`` is False on sandboxes that only have internal networks.
    ``networks`` are the network names of the sandbox: ``x.net1`` never goes upstream.
    """

    sandbox: str
    names: dict[str, tuple[Address, ...]] = {}
    reverse: dict[Address, str] = {}
    upstreams: tuple[str, ...] = ()
    host_upstreams: bool = True
    """The upstreams are those of the host's resolv.conf: follow its changes."""
    forward: bool = True
    networks: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
