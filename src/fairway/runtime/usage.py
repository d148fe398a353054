"""What a container uses, as the kernel counts it: cgroup v1 and v2, /proc of its first process, /proc/stat.

Interfaces are read from the process' ``/proc/PID/net/dev``, which shows the namespace that it is in; no
thread has to enter it. A file that a kernel does not have counts as empty.
Sources: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst; proc(5).
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from fairway.model.usage import BlockCount, CpuUsage, InterfaceCount, MemoryUsage, Usage
from fairway.runtime import cgroups

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Nanoseconds."""
_MICROSECOND = 1000

Reader = Callable[[str, str], str]
"""Content of a container's cgroup file, from controller and name; empty if there is none."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the samples are compared with: nanoseconds of all CPUs, their number, bytes of memory."""

    cpu_time: int
    cpus: int
    memory: int


def read(pid: int, container: str) -> Usage:
    """A sample of the container whose first process is ``pid``; zeros where that has just ended. Blocking."""
    paths = cgroups.of_process(pid)

    def file(controller: str, name: str) -> str:
        path = paths.get(controller)
        return _text(cgroups.ROOT / controller / _own(path, container) / name) if path else ""

    host = parse_host(_text(Path("/proc/stat")), _text(Path("/proc/meminfo")))
    divided = not (cgroups.ROOT / "cgroup.controllers").exists()
    usage = parse_divided(file, host) if divided else parse_unified(lambda _, name: file("", name), host)
    interfaces = parse_interfaces(_text(Path(f"/proc/{pid}/net/dev")))
    return msgspec.structs.replace(usage, time=time.time_ns(), interfaces=interfaces)


def _own(path: str, container: str) -> str:
    """The container's cgroup, although its first process may have gone to one below."""
    parts = path.strip("/").split("/")
    return "/".join(parts[: parts.index(container) + 1] if container in parts else parts)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not in this kernel, or gone with the process
        return ""


def parse_host(stat: str, meminfo: str) -> Host:
    """From /proc/stat and /proc/meminfo. Guest time is contained in user time (proc(5))."""
    lines = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    total = next((line for line in lines if line[0] == "cpu"), [])
    memory = _pairs(meminfo.replace(":", "").replace(" kB", "")).get("MemTotal", 0)
    return Host(
        cpu_time=sum(map(int, total[1:9])) * _TICK,
        cpus=sum(line[0] != "cpu" for line in lines),
        memory=memory * 1024,
    )


def parse_interfaces(text: str) -> dict[str, InterfaceCount]:
    """From /proc/PID/net/dev: two lines of titles, then eight counters received and eight sent."""
    result = {}
    for line in text.splitlines()[2:]:
        name, _, counters = line.partition(":")
        rx_bytes, rx_packets, rx_errors, rx_dropped, *rest = map(int, counters.split())
        tx_bytes, tx_packets, tx_errors, tx_dropped = rest[4:8]
        result[name.strip()] = InterfaceCount(
            rx_bytes=rx_bytes,
            rx_packets=rx_packets,
            rx_errors=rx_errors,
            rx_dropped=rx_dropped,
            tx_bytes=tx_bytes,
            tx_packets=tx_packets,
            tx_errors=tx_errors,
            tx_dropped=tx_dropped,
        )
    return result


def parse_divided(file: Reader, host: Host) -> Usage:
    """cgroup v1, a hierarchy for each controller."""
    throttling, times = _pairs(file("cpu", "cpu.stat")), _pairs(file("cpuacct", "cpuacct.stat"))
    details = _pairs(file("memory", "memory.stat"))
    return Usage(
        cpu=CpuUsage(
            total=_number(file("cpuacct", "cpuacct.usage")),
            kernel=times.get("system", 0) * _TICK,
            user=times.get("user", 0) * _TICK,
            per_cpu=tuple(map(int, file("cpuacct", "cpuacct.usage_percpu").split())),
            system=host.cpu_time,
            online=host.cpus,
            periods=throttling.get("nr_periods", 0),
            throttled_periods=throttling.get("nr_throttled", 0),
            throttled_time=throttling.get("throttled_time", 0),
        ),
        memory=MemoryUsage(
            usage=_number(file("memory", "memory.usage_in_bytes")),
            peak=_number(file("memory", "memory.max_usage_in_bytes")),
            failures=_number(file("memory", "memory.failcnt")),
            limit=min(_number(file("memory", "memory.limit_in_bytes")) or host.memory, host.memory),
            details=details,
        ),
        block_bytes=_counts(file("blkio", "blkio.throttle.io_service_bytes_recursive")),
        block_operations=_counts(file("blkio", "blkio.throttle.io_serviced_recursive")),
        processes=_number(file("pids", "pids.current")),
        process_limit=_number(file("pids", "pids.max")),
    )


def parse_unified(file: Reader, host: Host) -> Usage:
    """cgroup v2."""
    cpu = _pairs(file("", "cpu.stat"))
    return Usage(
        cpu=CpuUsage(
            total=cpu.get("usage_usec", 0) * _MICROSECOND,
            kernel=cpu.get("system_usec", 0) * _MICROSECOND,
            user=cpu.get("user_usec", 0) * _MICROSECOND,
            system=host.cpu_time,
            online=host.cpus,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_time=cpu.get("throttled_usec", 0) * _MICROSECOND,
        ),
        memory=MemoryUsage(
            usage=_number(file("", "memory.current")),
            failures=_pairs(file("", "memory.events")).get("oom", 0),
            limit=min(_number(file("", "memory.max")) or host.memory, host.memory),
            details=_pairs(file("", "memory.stat")),
        ),
        block_bytes=_transferred(file("", "io.stat")),
        processes=_number(file("", "pids.current")),
        process_limit=_number(file("", "pids.max")),
    )


def _number(text: str) -> int:
    """0 for ``max``, and for a file that is not there."""
    return int(text) if text.strip().isdigit() else 0


def _pairs(text: str) -> dict[str, int]:
    """``name number`` per line; what is not so is left out."""
    words = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _counts(text: str) -> tuple[BlockCount, ...]:
    """``8:0 Read 4096`` per line; the sum over all devices, ``Total 4096``, is left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            major, minor = map(int, words[0].split(":"))
            found.append(BlockCount(major, minor, words[1].lower(), int(words[2])))
    return tuple(found)


def _transferred(text: str) -> tuple[BlockCount, ...]:
    """``8:0 rbytes=4096 wbytes=0 rios=…`` per line."""
    found = []
    for line in text.splitlines():
        device, *words = line.split()
        major, minor = map(int, device.split(":"))
        counters = dict(word.split("=", 1) for word in words)
        for operation, key in (("read", "rbytes"), ("write", "wbytes")):
            found.append(BlockCount(major, minor, operation, int(counters.get(key, 0))))
    return tuple(found)
