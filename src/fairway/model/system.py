"""Facts about this engine and its host, for ``GET /info`` and ``GET /version``."""

import msgspec


class AddressPool(msgspec.Struct, frozen=True, kw_only=True):
    """``--default-address-pool base=…,size=…``: subnets of length ``size`` are cut from ``base``."""

    base: str
    size: int


STORAGE_DRIVER = "overlay2"
"""The only one there is: Docker's name for overlayfs over unpacked layers."""


class SystemFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    data_root: str
    exec_root: str
    runtime_name: str
    runtime_path: str
    runtime_version: str
    runtimes: dict[str, str]
    conmon_version: str
    kernel: str
    os: str
    arch: str
    cpus: int
    memory: int
    """Bytes."""
    ipv4_forwarding: bool
    bridge_nf_iptables: bool
    cgroup_version: str
    cgroup_driver: str = "cgroupfs"
    storage_driver: str = STORAGE_DRIVER
    labels: tuple[str, ...] = ()
    address_pools: tuple[AddressPool, ...] = ()
    warnings: tuple[str, ...] = ()
    started: int = 0
    """Nanoseconds since the epoch."""
    debug: bool = False
