"""One start of a container as the configuration of an OCI runtime (``config.json``).

Pure: everything that had to be looked up (the user's ids, device nodes, facts of the machine) is handed in.
The result follows the OCI runtime specification 1.0 and gives the process what Docker's own configuration
gives it (moby, ``daemon/oci_linux.go``), so that a program cannot tell the difference. What Docker leaves
to the kernel's default is left out here, too.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from fairway.model.container import HostConfig
from fairway.model.errors import InvalidParameter, System
from fairway.model.process import Launch
from fairway.runtime import capabilities, devices, faults, mounts, process, resources, seccomp, security
from fairway.runtime.devices import Node
from fairway.runtime.machine import Machine
from fairway.runtime.users import User

VERSION = "1.0.2"
CGROUP_PARENT = "/fairway"


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked up for one launch."""

    user: User
    devices: tuple[Node, ...] = ()
    shm: str = ""
    """Host directory to use as /dev/shm; empty for the container's own."""


def build(launch: Launch, given: Given, machine: Machine) -> dict[str, Any]:
    """The whole ``config.json``. Raises InvalidParameter for what the request cannot have here."""
    container = launch.container
    host = container.host
    options = security.parse(host.security_opt)
    caps = capabilities.chosen(
        host.cap_add, host.cap_drop, privileged=host.privileged, available=machine.capabilities
    )
    init = _init(host, machine)
    return _without_empty(
        {
            "ociVersion": VERSION,
            "process": _process(launch, given, machine, caps, options, bool(init)),
            "root": {"path": launch.rootfs, "readonly": host.readonly_rootfs},
            "hostname": "" if _shares_uts(launch) else launch.hostname,
            "mounts": mounts.build(launch, shm=given.shm, init=init, cgroup2=machine.cgroup2),
            "annotations": host.annotations,
            "linux": _linux(launch, given, machine, caps, options),
        }
    )


def _process(
    launch: Launch,
    given: Given,
    machine: Machine,
    caps: Sequence[str],
    options: security.SecurityOptions,
    init: bool,
) -> dict[str, Any]:
    container = launch.container
    height, width = container.host.console_size
    result: dict[str, Any] = {
        "terminal": container.config.tty,
        "user": process.oci_user(given.user),
        "args": process.arguments(launch, init),
        "env": process.environment(launch, given.user),
        "cwd": container.config.working_dir or "/",
        "capabilities": capabilities.oci(caps, given.user.uid),
        "noNewPrivileges": options.no_new_privileges,
    }
    if container.config.tty and height and width:
        result["consoleSize"] = {"height": height, "width": width}
    if options.apparmor:
        result["apparmorProfile"] = options.apparmor
    if container.host.oom_score_adj:
        if container.host.oom_score_adj < 0 and "CAP_SYS_RESOURCE" not in machine.capabilities:
            raise InvalidParameter("a negative oom-score-adj needs CAP_SYS_RESOURCE, which the daemon lacks")
        result["oomScoreAdj"] = container.host.oom_score_adj
    limits = resources.rlimits(
        container.host.ulimits, machine.hard_limits, may_raise="CAP_SYS_RESOURCE" in machine.capabilities
    )
    return result | ({"rlimits": limits} if limits else {})


def _linux(
    launch: Launch, given: Given, machine: Machine, caps: Sequence[str], options: security.SecurityOptions
) -> dict[str, Any]:
    container = launch.container
    host = container.host
    rules = devices.cgroup_rules(given.devices, host.device_cgroup_rules, privileged=host.privileged)
    return {
        "namespaces": _namespaces(launch, machine),
        "sysctl": _sysctls(launch),
        "devices": [node.oci() for node in given.devices],
        "resources": resources.build(host, block_weight=machine.block_weight) | {"devices": rules},
        "cgroupsPath": f"{cgroup_parent(host)}/{container.id}",
        "rootfsPropagation": mounts.root_propagation(container),
        "seccomp": _seccomp(host, machine, caps, options),
        **mounts.paths(host, options.paths_unconfined),
    }


def cgroup_parent(host: HostConfig) -> str:
    return "/" + (host.cgroup_parent or CGROUP_PARENT).strip("/")


def _seccomp(
    host: HostConfig, machine: Machine, caps: Sequence[str], options: security.SecurityOptions
) -> dict[str, Any]:
    if options.seccomp_unconfined or (host.privileged and options.seccomp is None):
        return {}
    profile = options.seccomp or machine.seccomp
    if profile is None:
        return {}
    return seccomp.convert(profile, caps, machine.architecture, machine.kernel, machine.foreign)


def _namespaces(launch: Launch, machine: Machine) -> list[dict[str, str]]:
    host = launch.container.host
    result = [{"type": "mount"}]
    for kind, mode in (("pid", host.pid_mode), ("ipc", host.ipc_mode), ("uts", host.uts_mode)):
        if kind in launch.joins:
            result.append({"type": kind, "path": f"/proc/{launch.joins[kind]}/ns/{kind}"})
        elif mode != "host":
            result.append({"type": kind})
    if launch.namespace:
        result.append({"type": "network", "path": launch.namespace})
    private = "host" if host.privileged or not machine.cgroup2 else "private"
    if (host.cgroupns_mode or private) == "private":
        result.append({"type": "cgroup"})
    return result


def _shares_uts(launch: Launch) -> bool:
    return launch.container.host.uts_mode == "host" or "uts" in launch.joins


def _sysctls(launch: Launch) -> dict[str, str]:
    """As Docker since 20.10: in its own network namespace anybody may bind low ports and send pings."""
    own = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
    asked = launch.container.host.sysctls
    if not launch.namespace:
        for name in asked:
            if name.startswith("net."):
                raise faults.refusing(f'sysctl "{name}" not allowed in host network namespace')
        own = {}
    if launch.container.config.domainname and not _shares_uts(launch):
        own["kernel.domainname"] = launch.container.config.domainname
    return own | asked


def _init(host: HostConfig, machine: Machine) -> str:
    if not host.init or host.pid_mode:
        return ""
    if not machine.init:
        raise System("--init needs an init program on the host; install one: apt install tini (or catatonit)")
    return machine.init


def _without_empty(config: dict[str, Any]) -> dict[str, Any]:
    config["linux"] = {key: value for key, value in config["linux"].items() if value not in ({}, [], "")}
    return {key: value for key, value in config.items() if value not in ({}, "")}
