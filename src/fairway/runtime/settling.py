"""A host configuration as asked for → as it will be applied: checked for this machine, defaults spelled out.

Done once, when a container is created, so that inspect shows what the process gets (moby,
``adaptContainerSettings``) and a request that could never start is refused before anything is made. Whatever
depends on the container's image or on other containers is checked at its start.
"""

import re
from collections.abc import Collection

import msgspec

from fairway.model.container import HostConfig
from fairway.model.errors import InvalidParameter
from fairway.runtime import capabilities, log_options, resources, security
from fairway.runtime.machine import Machine
from fairway.runtime.mounts import DEFAULT_SHM_SIZE, MASKED, READONLY

_CPUS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_TMPFS_WORDS = frozenset(
    "ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime "
    "nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime "
    "norelatime strictatime nostrictatime defaults".split()
)
_TMPFS_VALUES = frozenset("mode uid gid size nr_inodes nr_blocks mpol".split())


def settle(host: HostConfig, machine: Machine, runtime: str, runtimes: Collection[str]) -> HostConfig:
    """``runtime`` is the one that runs containers here, ``runtimes`` the names a request may give.

    Raises InvalidParameter with Docker's texts.
    """
    if host.runtime and host.runtime not in runtimes:
        raise InvalidParameter(f"unknown or invalid runtime name: {host.runtime}")
    if host.cgroupns_mode not in ("", "host", "private"):
        raise InvalidParameter(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    _check_cpu(host, machine)
    _check_tmpfs(host)
    capabilities.chosen(
        host.cap_add, host.cap_drop, privileged=host.privileged, available=machine.capabilities
    )
    log_options.parse(host.log_config)
    options = security.parse(host.security_opt)
    resources.rlimits(host.ulimits, machine.hard_limits, may_raise="CAP_SYS_RESOURCE" in machine.capabilities)
    confined = not host.privileged and not options.paths_unconfined
    private = machine.cgroup2 and not host.privileged
    return msgspec.structs.replace(
        host,
        runtime=host.runtime or runtime,
        cgroupns_mode=host.cgroupns_mode or ("private" if private else "host"),
        ipc_mode=host.ipc_mode or "private",
        shm_size=host.shm_size or DEFAULT_SHM_SIZE,
        masked_paths=MASKED if confined and host.masked_paths is None else host.masked_paths,
        readonly_paths=READONLY if confined and host.readonly_paths is None else host.readonly_paths,
        memory_swap=host.memory_swap or 2 * host.memory,
        memory_swappiness=None if host.memory_swappiness == -1 else host.memory_swappiness,
        pids_limit=host.pids_limit if host.pids_limit and host.pids_limit > 0 else None,
        oom_kill_disable=None if machine.cgroup2 else host.oom_kill_disable,
    )


def _check_cpu(host: HostConfig, machine: Machine) -> None:
    if host.cpu_shares < 0:
        raise InvalidParameter(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")
    if host.nano_cpus > machine.cpus * 1_000_000_000:
        raise InvalidParameter(
            f"range of CPUs is from 0.01 to {machine.cpus}.00, "
            f"as there are only {machine.cpus} CPUs available"
        )
    for given, what, name, available in (
        (host.cpuset_cpus, "CPUs", "cpuset cpus", machine.cpu_list),
        (host.cpuset_mems, "memory nodes", "cpuset mems", machine.memory_nodes),
    ):
        if not given:
            continue
        if not _CPUS.fullmatch(given):
            raise InvalidParameter(f"Invalid value {given} for {name}")
        if not _numbers(given) <= _numbers(available):
            raise InvalidParameter(
                f"Requested {what} are not available - requested {given}, available: {available}"
            )
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    swappiness = host.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")


_MOST_CPUS = 8192
"""More than any kernel numbers (CONFIG_NR_CPUS): keeps an absurd range from being counted out."""


def _numbers(ranges: str) -> frozenset[int]:
    """``0-2,5`` → {0, 1, 2, 5}."""
    result: set[int] = set()
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        result.update(range(int(first), min(int(last or first), _MOST_CPUS) + 1))
        result.add(int(last or first))
    return frozenset(result)


def _check_tmpfs(host: HostConfig) -> None:
    for options in host.tmpfs.values():
        words = [word for word in options.split(",") if word]
        for word in words:
            name, equals, value = word.partition("=")
            if word not in _TMPFS_WORDS and not (equals and value and name in _TMPFS_VALUES):
                raise InvalidParameter(f'Invalid tmpfs option "{word}"')
