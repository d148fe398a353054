"""What users ask of the engine: requests, parsed and typed at the API's edge."""

from typing import Literal

import msgspec

from fairway.model.address import Address, Cidr
from fairway.model.container import Config, HostConfig
from fairway.model.network import EndpointRequest


class PoolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One ``IPAM.Config`` entry. All parts optional, as in Docker."""

    subnet: Cidr | None = None
    ip_range: Cidr | None = None
    gateway: Address | None = None
    auxiliary: dict[str, Address] = {}


class NetworkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /networks/create``."""

    name: str
    driver: str = "bridge"
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipv4: bool | None = None
    ipv6: bool | None = None
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: tuple[PoolRequest, ...] = ()
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class ContainerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /containers/create``. ``name`` is empty for a generated one."""

    name: str = ""
    config: Config
    host: HostConfig = HostConfig()
    endpoints: dict[str, EndpointRequest] = {}
    """``NetworkingConfig.EndpointsConfig``: network name or id → attachment."""
    platform: str = ""


class VolumeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /volumes/create``. An empty name makes an anonymous volume."""

    name: str = ""
    driver: str = "local"
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


WaitCondition = Literal["not-running", "next-exit", "removed"]


class PruneFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Filters that all prune verbs share. ``labels``/``not_labels`` are ``key`` or ``key=value``."""

    until: int = 0
    """Only objects created before this time, nanoseconds; 0 for no limit."""
    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()
    all: bool = False
    """Volumes: named ones, too. Images: all unused, not only dangling ones."""

    def admits(self, labels: dict[str, str], created: int) -> bool:
        """Whether an object with these labels, created at that time, may be pruned."""
        if self.until and created >= self.until:
            return False
        return all(has_label(labels, want) for want in self.labels) and not any(
            has_label(labels, unwanted) for unwanted in self.not_labels
        )


def has_label(labels: dict[str, str], wanted: str) -> bool:
    """``wanted`` is ``key`` (any value) or ``key=value``."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
