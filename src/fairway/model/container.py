"""Containers: what was asked for, and what state they are in.

``Config`` and ``HostConfig`` carry the field names of Docker's API in their JSON form (engine API,
``ContainerConfig`` and ``HostConfig``), because that JSON is at once the request, the stored form and the
reply to inspect. A null in a request means "default"; the edge drops it before decoding.
"""

from typing import Any, Literal

import msgspec

from fairway.model.network import PortMapping

_WORDS = {
    "oom": "Oom",
    "io": "IO",
    "iops": "IOps",
    "uts": "UTS",
    "id": "ID",
}
_NAMES = {
    "kernel_memory_tcp": "KernelMemoryTCP",
    "container_id_file": "ContainerIDFile",
    "io_maximum_iops": "IOMaximumIOps",
    "storage_opt": "StorageOpt",
}


def docker_name(snake: str) -> str:
    """The API's spelling of a field: ``cpu_shares`` → ``CpuShares``, ``uts_mode`` → ``UTSMode``."""
    return _NAMES.get(snake) or "".join(_WORDS.get(w, w.capitalize()) for w in snake.split("_"))


class Docker(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """Base of structs whose JSON uses the API's field names."""


class Healthcheck(Docker, frozen=True):
    """Durations in nanoseconds; zero means inherit, then Docker's default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class Config(Docker, frozen=True):
    """The portable part: process, environment, image."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] = {}
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    image: str = ""
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] = ()


class RestartPolicy(Docker, frozen=True):
    name: Literal["", "no", "always", "unless-stopped", "on-failure"] = ""
    maximum_retry_count: int = 0


class PortBinding(msgspec.Struct, frozen=True, kw_only=True):
    """One host side of a published port; empty strings mean any address, any port."""

    host_ip: str = msgspec.field(default="", name="HostIp")
    host_port: str = msgspec.field(default="", name="HostPort")


class Ulimit(Docker, frozen=True):
    name: str
    soft: int
    hard: int


class Device(Docker, frozen=True):
    path_on_host: str
    path_in_container: str = ""
    cgroup_permissions: str = "rwm"


class DriverConfig(Docker, frozen=True):
    name: str = ""
    options: dict[str, str] = {}


class BindOptions(Docker, frozen=True):
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeOptions(Docker, frozen=True):
    no_copy: bool = False
    labels: dict[str, str] = {}
    driver_config: DriverConfig | None = None
    subpath: str = ""


class TmpfsOptions(Docker, frozen=True):
    size_bytes: int = 0
    mode: int = 0
    options: tuple[tuple[str, ...], ...] = ()


class MountRequest(Docker, frozen=True):
    """``HostConfig.Mounts``: the long form of a mount."""

    type: Literal["bind", "volume", "tmpfs", "npipe", "cluster", "image"] = "volume"
    target: str = ""
    source: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class LogConfig(Docker, frozen=True):
    type: str = ""
    config: dict[str, str] = {}


class HostConfig(Docker, frozen=True):
    """The part that depends on this host: resources, mounts, networking, security."""

    binds: tuple[str, ...] = ()
    container_id_file: str = ""
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, tuple[PortBinding, ...]] = {}
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] = {}
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroupns_mode: str = ""
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ipc_mode: str = ""
    cgroup: str = ""
    links: tuple[str, ...] = ()
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: tuple[str, ...] = ()
    storage_opt: dict[str, str] = {}
    tmpfs: dict[str, str] = {}
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] = {}
    runtime: str = ""
    isolation: str = ""
    masked_paths: tuple[str, ...] | None = None
    readonly_paths: tuple[str, ...] | None = None
    init: bool | None = None
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: tuple[Device, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    device_requests: tuple[dict[str, Any], ...] = ()
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: tuple[Ulimit, ...] = ()


Status = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is doing. Times are nanoseconds since the epoch, 0 for never."""

    status: Status = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: int = 0
    finished: int = 0
    restart_count: int = 0
    stopped_by_user: bool = False
    """A user's stop or kill keeps restart policies from acting."""

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused", "restarting")

    @property
    def active(self) -> bool:
        """Whether it has a process, and with it a root file system: not while it waits to restart."""
        return self.status in ("running", "paused")


class MountPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A mount as resolved for one container: what inspect shows under ``Mounts``."""

    type: Literal["bind", "volume", "tmpfs"]
    source: str
    """Absolute host path; for tmpfs empty."""
    destination: str
    name: str = ""
    """Volume name; empty otherwise."""
    driver: str = ""
    read_only: bool = False
    propagation: str = ""
    mode: str = ""
    """The option text given, e.g. ``ro,z``; for tmpfs the mount options (``size=64m,mode=1777``)."""
    copy_up: bool = False
    """A new named volume receives the image's files at that path on first use."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of a container on the default bridge."""

    target: str
    """Id of the container that it leads to."""
    name: str
    """The target's name when the link was made, for when it is gone."""
    alias: str


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container. ``config`` is already merged with the image's defaults."""

    id: str
    name: str
    """Without the leading slash."""
    created: int
    """Nanoseconds since the epoch."""
    image: str
    """Image id (``sha256:…``)."""
    config: Config
    host: HostConfig
    state: State = State()
    mounts: tuple[MountPoint, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    """What is published while it runs."""
    previous_ports: tuple[PortMapping, ...] = ()
    """What was, when it last ran: automatic ports are preferred to be the same."""
    links: tuple[Link, ...] = ()
    """On the default bridge; what was asked for stands in ``host.links``."""
    sandbox: str = ""
    """Sandbox id, empty when the container has none of its own (host, container:, never started)."""
    joined: str = ""
    """Sandbox id of the container whose network it shares, while it runs."""


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a container's process ended."""

    code: int
    finished: int
    """Nanoseconds since the epoch."""
    oom_killed: bool = False


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    driver: str = "local"
    mountpoint: str
    created: int
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    anonymous: bool = False


class HealthProbe(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a health check; times in nanoseconds."""

    started: int
    ended: int
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """``log`` keeps the last five probes, oldest first."""

    status: Literal["starting", "healthy", "unhealthy"] = "starting"
    failing_streak: int = 0
    log: tuple[HealthProbe, ...] = ()


class ContainerPaths(msgspec.Struct, frozen=True, kw_only=True):
    """Host paths of the files that the engine keeps for a container."""

    resolv_conf: str
    hostname: str
    hosts: str
    log: str
