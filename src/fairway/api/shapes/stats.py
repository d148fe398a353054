"""A sample of what a container uses (API, ``ContainerStatsResponse``).

Fields that Go leaves out when they are empty are left out here, too: clients take a missing number for "not
counted". The CLI computes its percentages from ``cpu_stats`` and ``precpu_stats``.
"""

from collections.abc import Iterable
from typing import Any

from fairway.api import times
from fairway.model.container import Container
from fairway.model.usage import BlockCount, CpuUsage, InterfaceCount, MemoryUsage, Usage


def stats(container: Container, usage: Usage, before: Usage) -> dict[str, Any]:
    """``before`` is the sample before this one, or an empty one."""
    shown = {
        "name": f"/{container.name}",
        "id": container.id,
        "read": times.rfc3339(usage.time),
        "preread": times.rfc3339(before.time),
        "pids_stats": _filled(current=usage.processes, limit=usage.process_limit),
        "blkio_stats": {
            "io_service_bytes_recursive": _counts(usage.block_bytes),
            "io_serviced_recursive": _counts(usage.block_operations),
            "io_queue_recursive": None,
            "io_service_time_recursive": None,
            "io_wait_time_recursive": None,
            "io_merged_recursive": None,
            "io_time_recursive": None,
            "sectors_recursive": None,
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(usage.cpu),
        "precpu_stats": _cpu(before.cpu),
        "memory_stats": _memory(usage.memory),
    }
    if usage.interfaces:
        shown["networks"] = {name: _interface(count) for name, count in usage.interfaces.items()}
    return shown


def _filled(**fields: Any) -> dict[str, Any]:
    """Those that are not empty."""
    return {name: value for name, value in fields.items() if value}


def _counts(counts: Iterable[BlockCount] | None) -> list[dict[str, Any]] | None:
    if counts is None:
        return None
    return [{"major": c.major, "minor": c.minor, "op": c.operation, "value": c.value} for c in counts]


def _cpu(cpu: CpuUsage) -> dict[str, Any]:
    return {
        "cpu_usage": {
            "total_usage": cpu.total,
            **_filled(percpu_usage=list(cpu.per_cpu)),
            "usage_in_kernelmode": cpu.kernel,
            "usage_in_usermode": cpu.user,
        },
        **_filled(system_cpu_usage=cpu.system, online_cpus=cpu.online),
        "throttling_data": {
            "periods": cpu.periods,
            "throttled_periods": cpu.throttled_periods,
            "throttled_time": cpu.throttled_time,
        },
    }


def _memory(memory: MemoryUsage) -> dict[str, Any]:
    return _filled(
        usage=memory.usage,
        max_usage=memory.peak,
        stats=memory.details,
        failcnt=memory.failures,
        limit=memory.limit,
    )


def _interface(count: InterfaceCount) -> dict[str, int]:
    return {
        "rx_bytes": count.rx_bytes,
        "rx_packets": count.rx_packets,
        "rx_errors": count.rx_errors,
        "rx_dropped": count.rx_dropped,
        "tx_bytes": count.tx_bytes,
        "tx_packets": count.tx_packets,
        "tx_errors": count.tx_errors,
        "tx_dropped": count.tx_dropped,
    }
