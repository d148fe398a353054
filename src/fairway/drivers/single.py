"""The drivers ``host`` and ``null``: one network each, nothing in the kernel.

A container on ``host`` runs in the daemon's own namespace, one on ``none`` in a namespace with loopback only.
"""

from fairway.model.network import BridgeOptions, Endpoint, Network
from fairway.model.request import NetworkRequest
from fairway.plan import Fact


class SingleDriver:
    interfaces = False
    single = True

    def options(self, request: NetworkRequest, network_id: str) -> BridgeOptions | None:
        return None

    def network(self, network: Network) -> tuple[Fact, ...]:
        return ()

    def endpoint(self, network: Network, endpoint: Endpoint, sandbox: str) -> tuple[Fact, ...]:
        return ()
