"""What a host configuration becomes when a container is created: Docker's defaults, and what is refused."""

from typing import Any

import msgspec
import pytest

from fairway.model.container import HostConfig, Ulimit
from fairway.model.errors import InvalidParameter
from fairway.runtime import capabilities
from fairway.runtime.machine import Machine
from fairway.runtime.mounts import MASKED, READONLY
from fairway.runtime.settling import settle

MACHINE = Machine(
    capabilities=tuple(name for name in capabilities.NAMES if name != "CAP_SYS_RESOURCE"),
    hard_limits={"nofile": 1000},
    architecture="x86_64",
    kernel=(6, 18),
    cgroup2=False,
    seccomp=None,
    cpus=4,
    cpu_list="0-2,4",
)


def settled(machine: Machine = MACHINE, **host: Any) -> HostConfig:
    return settle(HostConfig(**host), machine, "crun", ("crun", "runc"))


def test_defaults_are_spelled_out() -> None:
    host = settled()
    assert (host.runtime, host.cgroupns_mode, host.ipc_mode) == ("crun", "host", "private")
    assert (host.shm_size, host.masked_paths, host.readonly_paths) == (64 << 20, MASKED, READONLY)
    assert (host.memory_swap, host.memory_swappiness, host.pids_limit) == (0, None, None)


def test_what_is_asked_for_stands() -> None:
    given = HostConfig(
        runtime="runc",
        cgroupns_mode="private",
        ipc_mode="host",
        shm_size=1,
        masked_paths=(),
        readonly_paths=("/x",),
        memory=100,
        memory_swap=-1,
        memory_swappiness=3,
        pids_limit=5,
        cpuset_cpus="0,1-2",
    )
    assert settle(given, MACHINE, "crun", ("runc",)) == given


def test_values_that_mean_the_default() -> None:
    host = settled(memory=100, memory_swappiness=-1, pids_limit=-1)
    assert (host.memory_swap, host.memory_swappiness, host.pids_limit) == (200, None, None)


def test_defaults_of_the_unified_hierarchy() -> None:
    machine = msgspec.structs.replace(MACHINE, cgroup2=True)
    assert settled(machine, oom_kill_disable=False).oom_kill_disable is None
    assert settled(machine).cgroupns_mode == "private"
    assert settled(machine, privileged=True).cgroupns_mode == "host"


@pytest.mark.parametrize("open_", [{"privileged": True}, {"security_opt": ("systempaths=unconfined",)}])
def test_nothing_is_masked_in_open_containers(open_: dict[str, Any]) -> None:
    assert (settled(**open_).masked_paths, settled(**open_).readonly_paths) == (None, None)


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ({"runtime": "nope"}, "unknown or invalid runtime name: nope"),
        ({"cgroupns_mode": "foo"}, "invalid cgroup namespace mode: foo"),
        ({"cpu_shares": -1}, "invalid CPU shares"),
        ({"nano_cpus": 4_000_000_001}, "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs"),
        ({"cpuset_cpus": "3"}, "Requested CPUs are not available - requested 3, available: 0-2,4"),
        ({"cpuset_cpus": "0-99999999999"}, "Requested CPUs are not available"),
        ({"cpuset_cpus": "a"}, "Invalid value a for cpuset cpus"),
        ({"cpuset_mems": "7"}, "Requested memory nodes are not available"),
        ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"memory_swappiness": 500}, "Invalid value: 500, valid memory swappiness range is 0-100"),
        ({"tmpfs": {"/x": "size=1m,bogus=1"}}, 'Invalid tmpfs option "bogus=1"'),
        ({"cap_add": ("NOPE",)}, "invalid CapAdd: unknown capability"),
        ({"security_opt": ("foo=bar",)}, "invalid --security-opt 2"),
        ({"ulimits": (Ulimit(name="nope", soft=1, hard=1),)}, "invalid ulimit type: nope"),
    ],
)
def test_what_no_container_can_have(host: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidParameter, match=complaint):
        settled(**host)
