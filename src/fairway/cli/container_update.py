"""``update``: limits and restart policy of containers, as Docker's command has it."""

from __future__ import annotations

from typing import Any

from fairway.api.client import quote
from fairway.cli.command import SOME, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag, Options
from fairway.cli.kinds import CPUS, INT, SIZE, STRING, SWAP, UINT16
from fairway.cli.run_config import parse_restart
from fairway.model.errors import Fault

FLAGS = (
    Flag(
        "blkio-weight",
        UINT16,
        "Block IO (relative weight), between 10 and 1000, or 0 to disable",
        shown="0",
    ),
    Flag("cpu-period", INT, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", INT, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-rt-period", INT, "Limit the CPU real-time period in microseconds"),
    Flag("cpu-rt-runtime", INT, "Limit the CPU real-time runtime in microseconds"),
    Flag("cpu-shares", INT, "CPU shares (relative weight)", short="c"),
    Flag("cpus", CPUS, "Number of CPUs"),
    Flag("cpuset-cpus", STRING, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", STRING, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("memory", SIZE, "Memory limit", short="m"),
    Flag("memory-reservation", SIZE, "Memory soft limit"),
    Flag("memory-swap", SWAP, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag("kernel-memory", SIZE, deprecated="and is ignored", hidden=True),
    Flag("pids-limit", INT, "Tune container pids limit (set -1 for unlimited)"),
    Flag("restart", STRING, "Restart policy to apply when a container exits"),
)


def body(options: Options) -> dict[str, Any]:
    """Only what was given: the rest stays as it is. Raises InvalidParameter."""
    numbers = {
        "BlkioWeight": "blkio-weight",
        "CpuPeriod": "cpu-period",
        "CpuQuota": "cpu-quota",
        "CpuRealtimePeriod": "cpu-rt-period",
        "CpuRealtimeRuntime": "cpu-rt-runtime",
        "CpuShares": "cpu-shares",
        "NanoCpus": "cpus",
        "Memory": "memory",
        "MemoryReservation": "memory-reservation",
        "MemorySwap": "memory-swap",
        "PidsLimit": "pids-limit",
    }
    texts = {"CpusetCpus": "cpuset-cpus", "CpusetMems": "cpuset-mems"}
    changes: dict[str, Any] = {
        field: options.number(name) for field, name in numbers.items() if options.given(name)
    }
    changes |= {field: options.text(name) for field, name in texts.items() if options.given(name)}
    if options.given("restart"):
        changes["RestartPolicy"] = parse_restart(options.text("restart"))
    return changes


def _update(given: Invocation) -> int:
    if not any(given.options.given(flag.name) for flag in FLAGS):
        raise Exit(FAILED, "you must provide one or more flags when using this command")
    changes = body(given.options)
    warnings: list[str] = []
    faults: list[Fault] = []
    for name in given.args:
        try:
            answer = given.client.post(f"/containers/{quote(name)}/update", body=changes)
        except Fault as fault:
            faults.append(fault)
            continue
        given.line(name)
        warnings += answer.get("Warnings") or ()
    if warnings:
        given.line("\n".join(warnings))
    for each in faults:
        given.warn(describe(each))
    return FAILED if faults else OK


UPDATE = Command(
    _update,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    SOME,
    FLAGS,
    complete="containers",
)
