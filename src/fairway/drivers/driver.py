"""What the engine asks of a driver, and the drivers there are."""

from typing import Protocol

from fairway.drivers import bridge, single
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import BridgeOptions, Endpoint, Network
from fairway.model.request import NetworkRequest
from fairway.plan import Fact


class Driver(Protocol):
    """A driver of networks. All methods are pure."""

    interfaces: bool
    """Whether an endpoint is an interface with addresses; otherwise it is membership only."""
    single: bool
    """Whether there is one predefined network of this driver and never another."""

    def options(self, request: NetworkRequest, network_id: str) -> BridgeOptions | None:
        """Driver options, parsed. Raises InvalidParameter naming the option."""

    def network(self, network: Network) -> tuple[Fact, ...]:
        """What shall hold while the network exists, in the order in which it can be established."""

    def endpoint(self, network: Network, endpoint: Endpoint, sandbox: str) -> tuple[Fact, ...]:
        """What shall hold while the endpoint is in the sandbox whose namespace file is ``sandbox``."""


_DRIVERS: dict[str, Driver] = {
    "bridge": bridge.BridgeDriver(),
    "host": single.SingleDriver(),
    "null": single.SingleDriver(),
}


def find(name: str) -> Driver:
    """The driver of that name. Raises NotFound with Docker's text for one that does not exist."""
    if not name:
        raise InvalidParameter("invalid driver: the name is empty")
    driver = _DRIVERS.get(name)
    if driver is None:
        raise NotFound(f'could not find plugin {name} in v1 plugin registry: plugin "{name}" not found')
    return driver
