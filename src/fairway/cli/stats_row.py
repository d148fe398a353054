"""One line of ``stats``: percentages and sums from a sample of the API, as docker/cli computes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairway.cli.template import Record
from fairway.cli.units import human_bytes, human_size

TABLE = (
    "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
)
TITLES = {
    "Container": "CONTAINER",
    "Name": "NAME",
    "ID": "CONTAINER ID",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}


def row(asked: str, sample: Mapping[str, Any], *, valid: bool, full: bool) -> Record:
    """``asked`` is how the container was named; an invalid sample shows ``--``."""
    identifier = sample.get("id", "")
    usage, limit = memory(sample.get("memory_stats") or {})
    share = usage / limit * 100 if limit else 0.0
    received, sent = network(sample.get("networks") or {})
    read, written = blocks((sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ())
    processes = (sample.get("pids_stats") or {}).get("current", 0)
    return Record(
        "*container.statsContext",
        {
            "BlockIO": f"{human_size(read, 3)} / {human_size(written, 3)}" if valid else "--",
            "CPUPerc": f"{cpu(sample):.2f}%" if valid else "--",
            "Container": asked,
            "ID": identifier if full else identifier[:12],
            "MemPerc": f"{share:.2f}%" if valid else "--",
            "MemUsage": f"{human_bytes(usage)} / {human_bytes(limit)}" if valid else "-- / --",
            "Name": sample.get("name", "")[1:] or "--",
            "NetIO": f"{human_size(received, 3)} / {human_size(sent, 3)}" if valid else "--",
            "PIDs": str(processes) if valid else "--",
        },
    )


def cpu(sample: Mapping[str, Any]) -> float:
    """Percent of one CPU, since the sample before."""
    now, before = sample.get("cpu_stats") or {}, sample.get("precpu_stats") or {}

    def used(stats: Mapping[str, Any]) -> int:
        return int((stats.get("cpu_usage") or {}).get("total_usage", 0))

    own = used(now) - used(before)
    host = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len((now.get("cpu_usage") or {}).get("percpu_usage") or ())
    return float(own / host * cpus * 100) if own > 0 and host > 0 else 0.0


def memory(stats: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes used, without cache that the kernel can give back at once, and the limit."""
    usage, details = stats.get("usage", 0), stats.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return (usage - cache if cache < usage else usage), stats.get("limit", 0)


def network(interfaces: Mapping[str, Mapping[str, int]]) -> tuple[int, int]:
    """Bytes received and sent."""
    return sum(i["rx_bytes"] for i in interfaces.values()), sum(i["tx_bytes"] for i in interfaces.values())


def blocks(counts: Iterable[Mapping[str, Any]]) -> tuple[int, int]:
    """Bytes read and written."""
    read = written = 0
    for count in counts:
        initial = str(count.get("op", ""))[:1].lower()
        read += count["value"] if initial == "r" else 0
        written += count["value"] if initial == "w" else 0
    return read, written
