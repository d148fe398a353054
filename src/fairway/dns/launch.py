"""Where the resolver of one daemon lives, and how it is run."""

from typing import NamedTuple

from fairway.companion.launch import Companion
from fairway.dns.messages import VERSION


class Location(NamedTuple):
    socket: str
    """Path of the control socket; its directory exists."""
    state: str
    """Directory of its lock and its log."""
    resolv_conf: str = "/etc/resolv.conf"
    """The host's, whose servers are asked on behalf of zones without upstreams."""

    def companion(self) -> Companion:
        return Companion(
            name="resolver",
            module="fairway.dns.server",
            version=VERSION,
            socket=self.socket,
            state=self.state,
            arguments=("--resolv-conf", self.resolv_conf),
        )
