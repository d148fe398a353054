"""What shall hold in the kernel for a network: what its driver says, less what options forbid."""

from fairway.drivers import find
from fairway.engine.settings import Settings
from fairway.model.network import Network
from fairway.plan import Fact, Sysctl

_FORWARDING = frozenset(("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"))


def network_facts(network: Network, settings: Settings) -> tuple[Fact, ...]:
    """In the order in which they can be established."""
    return tuple(fact for fact in find(network.driver).network(network) if _allowed(fact, settings))


def _allowed(fact: Fact, settings: Settings) -> bool:
    """``--ip-forward=false`` leaves forwarding as the administrator set it. Without rules for IPv4 nothing
    would keep containers from the host's loopback, were it routed (see ``firewall/ruleset.py``, spoofed)."""
    if not isinstance(fact, Sysctl):
        return True
    if fact.key in _FORWARDING:
        return settings.ip_forward
    return settings.iptables or not fact.key.endswith("/route_localnet")
