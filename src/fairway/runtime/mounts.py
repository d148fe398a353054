"""What is mounted where inside a container, in OCI form.

First the pseudo file systems that every container has, as Docker mounts them (moby, ``oci/defaults.go``),
then what was asked for, parents before children so that none hides another. The root file system itself is
already mounted by the kernel layer and is not in the list.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fairway.model.container import Container, HostConfig, MountPoint
from fairway.model.process import Launch

DEFAULT_SHM_SIZE = 64 << 20
"""Bytes of /dev/shm (Docker's ``--default-shm-size``)."""

_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_SAFE = ["nosuid", "noexec", "nodev"]


def build(launch: Launch, *, shm: str, init: str, cgroup2: bool) -> list[dict[str, Any]]:
    """OCI ``mounts``. ``shm`` is a host directory to use as /dev/shm (empty: the container's own), ``init``
    the host's path of the program mounted as /sbin/docker-init (empty: none)."""
    container = launch.container
    wanted = {mount["destination"]: mount for mount in _requested(launch)}
    if init:
        wanted["/sbin/docker-init"] = _bind("/sbin/docker-init", init, ["bind", "ro"])
    standard = [m for m in _standard(container.host, shm, cgroup2) if m["destination"] not in wanted]
    ordered = sorted(wanted.values(), key=lambda mount: (_depth(mount["destination"]), mount["destination"]))
    return standard + ordered


def _standard(host: HostConfig, shm: str, cgroup2: bool) -> Iterable[dict[str, Any]]:
    access = "rw" if host.privileged else "ro"
    yield _mount("/proc", "proc", "proc", _SAFE)
    yield _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"])
    yield _mount(
        "/dev/pts",
        "devpts",
        "devpts",
        ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    )
    yield _mount("/sys", "sysfs", "sysfs", [*_SAFE, access])
    options = [access, *_SAFE, "relatime"] if not cgroup2 else [access, *_SAFE]
    yield _mount("/sys/fs/cgroup", "cgroup", "cgroup", options)
    yield _mount("/dev/mqueue", "mqueue", "mqueue", _SAFE)
    if shm:
        yield _bind("/dev/shm", shm, ["rbind", "rprivate", *_SAFE])
    elif host.ipc_mode != "none":
        size = host.shm_size or DEFAULT_SHM_SIZE
        yield _mount("/dev/shm", "tmpfs", "shm", [*_SAFE, "mode=1777", f"size={size}"])


def _requested(launch: Launch) -> Iterable[dict[str, Any]]:
    for target, options in launch.container.host.tmpfs.items():
        yield _tmpfs(target, options)
    for mount in launch.container.mounts:
        yield _tmpfs(mount.destination, mount.mode) if mount.type == "tmpfs" else _bound(mount)
    for target, source in launch.files.items():
        yield _bind(target, source, ["rbind", "rprivate"])


def _tmpfs(target: str, options: str) -> dict[str, Any]:
    """Docker's default options, each replaced by its opposite if given."""
    opposite = {"exec": "noexec", "suid": "nosuid", "dev": "nodev"}
    given = [option for option in options.split(",") if option]
    kept = [o for o in ("noexec", "nosuid", "nodev") if o not in {opposite.get(g, g) for g in given}]
    return _mount(_clean(target), "tmpfs", "tmpfs", [*kept, *given])


def _bound(mount: MountPoint) -> dict[str, Any]:
    propagation = mount.propagation if mount.propagation in _PROPAGATIONS else "rprivate"
    options = ["rbind", "ro" if mount.read_only else "rw", propagation]
    return _bind(_clean(mount.destination), mount.source, options)


def _bind(target: str, source: str, options: list[str]) -> dict[str, Any]:
    return _mount(target, "bind", source, options)


def _mount(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _depth(path: str) -> int:
    return path.count("/")


def root_propagation(container: Container) -> str:
    """OCI ``rootfsPropagation``: mounts can only propagate through a root that lets them."""
    kinds = {mount.propagation.removeprefix("r") for mount in container.mounts}
    if "shared" in kinds:
        return "rshared"
    return "rslave" if "slave" in kinds else ""


def paths(host: HostConfig, unconfined: bool) -> Mapping[str, list[str]]:
    """OCI ``maskedPaths`` and ``readonlyPaths``: the request's own, Docker's lists, or none."""
    if host.privileged or unconfined:
        return {}
    masked = MASKED if host.masked_paths is None else host.masked_paths
    readonly = READONLY if host.readonly_paths is None else host.readonly_paths
    return {"maskedPaths": list(masked), "readonlyPaths": list(readonly)}


MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
