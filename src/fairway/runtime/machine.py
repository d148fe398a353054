"""Facts about this machine that decide what a container can be given, read once at start.

They are passed as a value to the pure functions that build the OCI configuration, so that those can be tested
for machines other than this one.
"""

import ctypes
import os
import platform
import resource
import shutil
from pathlib import Path

import msgspec

from fairway.model.errors import InvalidParameter
from fairway.runtime import capabilities
from fairway.runtime.seccomp import Profile
from fairway.runtime.seccomp import parse as parse_profile

SECCOMP_PROFILE = Path("/usr/share/containers/seccomp.json")
"""Docker's default profile as Debian ships it (package golang-github-containers-common)."""

_X32_GETPID = 0x40000000 + 39
"""``__X32_SYSCALL_BIT`` and getpid (asm/unistd.h)."""

INITS = ("docker-init", "tini-static", "catatonit", "tini")
"""Programs fit to be a container's first process (``--init``), those linked statically first."""

LIMITS = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in (
        "RLIMIT_AS RLIMIT_CORE RLIMIT_CPU RLIMIT_DATA RLIMIT_FSIZE RLIMIT_MEMLOCK RLIMIT_MSGQUEUE "
        "RLIMIT_NICE RLIMIT_NOFILE RLIMIT_NPROC RLIMIT_RSS RLIMIT_RTPRIO RLIMIT_RTTIME RLIMIT_SIGPENDING "
        "RLIMIT_STACK"
    ).split()
    if hasattr(resource, name)
} | {"locks": 10, "rttime": 15}
"""``--ulimit`` name → resource number (asm-generic/resource.h)."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    capabilities: tuple[str, ...]
    """Our bounding set."""
    hard_limits: dict[str, int]
    """``--ulimit`` name → hard limit that we run under, -1 for none."""
    architecture: str
    """uname's machine, e.g. ``x86_64``."""
    kernel: tuple[int, int]
    cgroup2: bool
    """Whether cgroups are unified (v2); else v1, hybrid included."""
    block_weight: bool = True
    """Whether the kernel can weigh block I/O; where it cannot, Docker discards the request."""
    seccomp: Profile | None
    """The default profile; None when the kernel or the profile is missing."""
    foreign: tuple[str, ...] = ()
    """Architectures in seccomp profiles that this kernel cannot run."""
    init: str = ""
    """Path of a program for ``--init``; empty when none is installed."""
    cpus: int = 1
    cpu_list: str = "0"
    """Numbers of the CPUs that are online, as the kernel lists them: ``0-3,8``."""
    memory_nodes: str = "0"


def read() -> Machine:
    """This machine."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    major, minor = os.uname().release.split(".")[:2]
    return Machine(
        capabilities=capabilities.from_mask(int(status["CapBnd"], 16)),
        hard_limits={name: _hard_limit(number) for name, number in LIMITS.items()},
        architecture=platform.machine(),
        kernel=(int(major), int("".join(c for c in minor if c.isdigit()))),
        cgroup2=Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        block_weight=_has_block_weight(),
        seccomp=_default_profile() if "Seccomp" in status else None,
        foreign=() if _has_x32() else ("SCMP_ARCH_X32",),
        init=next((path for name in INITS if (path := shutil.which(name))), ""),
        cpus=os.cpu_count() or 1,
        cpu_list=_online("cpu"),
        memory_nodes=_online("node"),
    )


def _has_x32() -> bool:
    """Whether the kernel has the x32 ABI, asked by calling its getpid.

    Most have not, and each architecture in a seccomp filter makes every container's creation slower
    (measured: 35 ms with x32, 25 without).
    """
    if platform.machine() != "x86_64":
        return False
    return int(ctypes.CDLL(None, use_errno=True).syscall(_X32_GETPID)) > 0


def _has_block_weight() -> bool:
    """v1 has the file in the root, v2 only in its children, with the controller that makes it."""
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    if controllers.exists():
        return "io" in controllers.read_text().split()
    return Path("/sys/fs/cgroup/blkio/blkio.weight").exists()


def _online(kind: str) -> str:
    try:
        return Path(f"/sys/devices/system/{kind}/online").read_text().strip()
    except FileNotFoundError:  # a kernel without NUMA has no nodes to list
        return "0"


def _hard_limit(number: int) -> int:
    return resource.getrlimit(number)[1]


def _default_profile() -> Profile | None:
    try:
        return parse_profile(SECCOMP_PROFILE.read_bytes())
    except FileNotFoundError:
        return None
    except InvalidParameter as error:
        raise InvalidParameter(f"{SECCOMP_PROFILE}: {error.message}") from error
