"""What a container uses: one sample of CPU, memory, block devices, processes and network interfaces.

Counters run from the container's start. What a kernel does not count is zero, empty or None.
"""

import msgspec


class CpuUsage(msgspec.Struct, frozen=True, kw_only=True):
    """All times in nanoseconds."""

    total: int = 0
    kernel: int = 0
    user: int = 0
    per_cpu: tuple[int, ...] = ()
    """Only cgroup v1 tells."""
    system: int = 0
    """Of the whole host, all CPUs together, idle time included."""
    online: int = 0
    """CPUs of the host."""
    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class MemoryUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes."""

    usage: int = 0
    peak: int = 0
    failures: int = 0
    """How often the limit was hit."""
    limit: int = 0
    """At most what the host has."""
    details: dict[str, int] = {}
    """``memory.stat``, with the kernel's names, which differ between cgroup v1 and v2."""


class BlockCount(msgspec.Struct, frozen=True):
    major: int
    minor: int
    operation: str
    """``read``, ``write`` and, on cgroup v1, ``sync``, ``async``, ``discard``, ``total``."""
    value: int


class InterfaceCount(msgspec.Struct, frozen=True, kw_only=True):
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A sample; ``time`` in nanoseconds since the epoch, 0 for one of a container that does not run."""

    time: int = 0
    cpu: CpuUsage = CpuUsage()
    memory: MemoryUsage = MemoryUsage()
    block_bytes: tuple[BlockCount, ...] | None = None
    block_operations: tuple[BlockCount, ...] | None = None
    """Only cgroup v1 tells."""
    processes: int = 0
    process_limit: int = 0
    """0 for none."""
    interfaces: dict[str, InterfaceCount] = {}
