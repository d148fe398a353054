"""Limits on what a container may use: HostConfig → OCI ``linux.resources`` and ``process.rlimits``.

Only what was asked for is written: a limit left out is the kernel's default, and some kernels lack
controllers.
"""

from typing import Any

from fairway.model.container import HostConfig, Ulimit
from fairway.model.errors import InvalidParameter

CPU_PERIOD = 100_000
"""Microseconds; the period against which ``--cpus`` is a quota (moby, ``daemon_unix.go``)."""

MOST_PROCESSES = 4_194_304
"""As many as a 64-bit kernel can have (``PID_MAX_LIMIT``, linux/threads.h). "No limit" cannot be said in an
update to both runtimes: runc writes "max" for -1, which crun hands to the kernel as it is."""


def build(host: HostConfig, *, block_weight: bool, unlimited: bool = False) -> dict[str, Any]:
    """OCI ``linux.resources`` without its devices.

    ``unlimited`` spells out that there is no limit of processes, to lift one that there was.
    """
    limited = bool(host.pids_limit and host.pids_limit > 0)
    processes = host.pids_limit if limited else MOST_PROCESSES if unlimited else None
    parts = {
        "memory": _memory(host),
        "cpu": _cpu(host),
        "pids": _given(limit=processes),
        "blockIO": {"weight": host.blkio_weight} if host.blkio_weight and block_weight else {},
    }
    return {name: part for name, part in parts.items() if part}


def _memory(host: HostConfig) -> dict[str, Any]:
    """Bytes. Without a swap limit Docker allows as much swap as memory, hence twice in total."""
    swap = host.memory_swap or 2 * host.memory
    return _given(
        limit=host.memory,
        reservation=host.memory_reservation,
        swap=swap,
        swappiness=host.memory_swappiness if host.memory_swappiness not in (None, -1) else 0,
        disableOOMKiller=bool(host.oom_kill_disable),
    ) | ({"swappiness": 0} if host.memory_swappiness == 0 else {})


def _cpu(host: HostConfig) -> dict[str, Any]:
    quota, period = host.cpu_quota, host.cpu_period
    if host.nano_cpus:
        period, quota = CPU_PERIOD, host.nano_cpus * CPU_PERIOD // 1_000_000_000
    return _given(
        shares=host.cpu_shares,
        quota=quota,
        period=period,
        realtimePeriod=host.cpu_realtime_period,
        realtimeRuntime=host.cpu_realtime_runtime,
        cpus=host.cpuset_cpus,
        mems=host.cpuset_mems,
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def rlimits(
    ulimits: tuple[Ulimit, ...], hard_limits: dict[str, int], *, may_raise: bool
) -> list[dict[str, Any]]:
    """OCI ``process.rlimits``; -1 is no limit.

    Raises InvalidParameter for an unknown name, a soft limit above the hard one, or a hard limit above our
    own when ``may_raise`` (CAP_SYS_RESOURCE) is missing: the kernel refuses that, see setrlimit(2).
    """
    for limit in ulimits:
        ours = hard_limits.get(limit.name)
        if ours is None:
            raise InvalidParameter(f"invalid ulimit type: {limit.name}")
        if limit.hard != -1 and (limit.soft == -1 or limit.soft > limit.hard):
            raise InvalidParameter(
                f"ulimit soft limit must be less than or equal to hard limit: {limit.soft} > {limit.hard}"
            )
        if not may_raise and ours != -1 and (limit.hard == -1 or limit.hard > ours):
            raise InvalidParameter(
                f"ulimit {limit.name}: hard limit {limit.hard} is above the daemon's own ({ours}), "
                "and the daemon lacks CAP_SYS_RESOURCE to raise it"
            )
    unlimited = (1 << 64) - 1
    return [
        {
            "type": f"RLIMIT_{limit.name.upper()}",
            "soft": unlimited if limit.soft == -1 else limit.soft,
            "hard": unlimited if limit.hard == -1 else limit.hard,
        }
        for limit in ulimits
    ]
