"""The options of ``run`` and ``create``, as a table. What they become is ``run_config``'s business."""

from __future__ import annotations

from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, CPUS, DURATION, INT, LIST, MAP, SIZE, STRING, SWAP, UINT, UINT16
from fairway.cli.mounts import MOUNTS
from fairway.cli.networks import NETWORKS
from fairway.cli.run_kinds import (
    ATTACH,
    BYTE_RATES,
    CGROUP_RULES,
    DNS,
    DNS_SEARCH,
    GPUS,
    HOSTS,
    LABELS,
    LINKS,
    OPERATION_RATES,
    SYSCTLS,
    ULIMITS,
    VARIABLES,
    WEIGHTED_DEVICES,
)

_CGROUPNS = (
    "Cgroup namespace to use (host|private)\n"
    "'host':    Run the container in the Fairway host's cgroup namespace\n"
    "'private': Run the container in its own private cgroup namespace\n"
    "'':        Use the cgroup namespace as configured by the\n"
    "           default-cgroupns-mode option on the daemon (default)"
)


def shared_flags(pull: str) -> tuple[Flag, ...]:
    """Options that ``run`` and ``create`` have in common; ``pull`` is the help of ``--pull``."""
    return (
        Flag("help", BOOL, "Print usage"),
        Flag("name", STRING, "Assign a name to the container"),
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
        Flag("pull", STRING, pull, default="missing"),
        Flag("quiet", BOOL, "Suppress the pull output", short="q"),
        Flag("disable-content-trust", BOOL, "Skip image verification", default=True),
        *_PROCESS,
        *_IDENTITY,
        *_NETWORK,
        *_STORAGE,
        *_SECURITY,
        *_RESOURCES,
        *_HEALTH,
        *_LIFE,
    )


_PROCESS = (
    Flag("attach", ATTACH, "Attach to STDIN, STDOUT or STDERR", short="a"),
    Flag("interactive", BOOL, "Keep STDIN open even if not attached", short="i"),
    Flag("tty", BOOL, "Allocate a pseudo-TTY", short="t"),
    Flag("env", VARIABLES, "Set environment variables", short="e"),
    Flag("env-file", LIST, "Read in a file of environment variables"),
    Flag("entrypoint", STRING, "Overwrite the default ENTRYPOINT of the image"),
    Flag("workdir", STRING, "Working directory inside the container", short="w"),
    Flag("user", STRING, "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
    Flag("group-add", LIST, "Add additional groups to join"),
    Flag("init", BOOL, "Run an init inside the container that forwards signals and reaps processes"),
)
_IDENTITY = (
    Flag("hostname", STRING, "Container host name", short="h"),
    Flag("domainname", STRING, "Container NIS domain name"),
    Flag("label", LABELS, "Set meta data on a container", short="l"),
    Flag("label-file", LIST, "Read in a line delimited file of labels"),
    Flag("annotation", MAP, "Add an annotation to the container (passed through to the OCI runtime)"),
    Flag("cidfile", STRING, "Write the container ID to the file"),
)
_NETWORK = (
    Flag("network", NETWORKS, "Connect a container to a network"),
    Flag("net", NETWORKS, alias_of="network"),
    Flag("network-alias", LIST, "Add network-scoped alias for the container"),
    Flag("net-alias", LIST, alias_of="network-alias"),
    Flag("ip", STRING, "IPv4 address (e.g., 172.30.100.104)"),
    Flag("ip6", STRING, "IPv6 address (e.g., 2001:db8::33)"),
    Flag("link", LINKS, "Add link to another container"),
    Flag("link-local-ip", LIST, "Container IPv4/IPv6 link-local addresses"),
    Flag("mac-address", STRING, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag("add-host", HOSTS, "Add a custom host-to-IP mapping (host:ip)"),
    Flag("dns", DNS, "Set custom DNS servers"),
    Flag("dns-option", LIST, "Set DNS options"),
    Flag("dns-opt", LIST, alias_of="dns-option"),
    Flag("dns-search", DNS_SEARCH, "Set custom DNS search domains"),
    Flag("expose", LIST, "Expose a port or a range of ports"),
    Flag("publish", LIST, "Publish a container's port(s) to the host", short="p"),
    Flag("publish-all", BOOL, "Publish all exposed ports to random ports", short="P"),
)
_STORAGE = (
    Flag("volume", LIST, "Bind mount a volume", short="v"),
    Flag("volume-driver", STRING, "Optional volume driver for the container"),
    Flag("volumes-from", LIST, "Mount volumes from the specified container(s)"),
    Flag("mount", MOUNTS, "Attach a filesystem mount to the container"),
    Flag("tmpfs", LIST, "Mount a tmpfs directory"),
    Flag("read-only", BOOL, "Mount the container's root filesystem as read only"),
    Flag("shm-size", SIZE, "Size of /dev/shm"),
    Flag("storage-opt", LIST, "Storage driver options for the container"),
)
_SECURITY = (
    Flag("cap-add", LIST, "Add Linux capabilities"),
    Flag("cap-drop", LIST, "Drop Linux capabilities"),
    Flag("privileged", BOOL, "Give extended privileges to this container"),
    Flag("security-opt", LIST, "Security Options"),
    Flag("sysctl", SYSCTLS, "Sysctl options"),
    Flag("ipc", STRING, "IPC mode to use"),
    Flag("pid", STRING, "PID namespace to use"),
    Flag("uts", STRING, "UTS namespace to use"),
    Flag("userns", STRING, "User namespace to use"),
    Flag("cgroupns", STRING, _CGROUPNS),
    Flag("cgroup-parent", STRING, "Optional parent cgroup for the container"),
    Flag("device", LIST, "Add a host device to the container"),
    Flag("device-cgroup-rule", CGROUP_RULES, "Add a rule to the cgroup allowed devices list"),
    Flag("gpus", GPUS, "GPU devices to add to the container ('all' to pass all GPUs)"),
    Flag("isolation", STRING, "Container isolation technology"),
    Flag("runtime", STRING, "Runtime to use for this container"),
)
_RESOURCES = (
    Flag("memory", SIZE, "Memory limit", short="m"),
    Flag("memory-reservation", SIZE, "Memory soft limit"),
    Flag("memory-swap", SWAP, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Flag("memory-swappiness", INT, "Tune container memory swappiness (0 to 100)", default=-1),
    Flag("kernel-memory", SIZE, "Kernel memory limit"),
    Flag("cpus", CPUS, "Number of CPUs"),
    Flag("cpu-shares", INT, "CPU shares (relative weight)", short="c"),
    Flag("cpu-period", INT, "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag("cpu-quota", INT, "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag("cpu-rt-period", INT, "Limit CPU real-time period in microseconds"),
    Flag("cpu-rt-runtime", INT, "Limit CPU real-time runtime in microseconds"),
    Flag("cpu-count", INT, "CPU count (Windows only)"),
    Flag("cpu-percent", INT, "CPU percent (Windows only)"),
    Flag("cpuset-cpus", STRING, "CPUs in which to allow execution (0-3, 0,1)"),
    Flag("cpuset-mems", STRING, "MEMs in which to allow execution (0-3, 0,1)"),
    Flag("pids-limit", INT, "Tune container pids limit (set -1 for unlimited)"),
    Flag("oom-kill-disable", BOOL, "Disable OOM Killer"),
    Flag("oom-score-adj", INT, "Tune host's OOM preferences (-1000 to 1000)"),
    Flag("ulimit", ULIMITS, "Ulimit options", shown="[]"),
    Flag(
        "blkio-weight",
        UINT16,
        "Block IO (relative weight), between 10 and 1000, or 0 to disable",
        shown="0",
    ),
    Flag("blkio-weight-device", WEIGHTED_DEVICES, "Block IO weight (relative device weight)", shown="[]"),
    Flag("device-read-bps", BYTE_RATES, "Limit read rate (bytes per second) from a device", shown="[]"),
    Flag("device-read-iops", OPERATION_RATES, "Limit read rate (IO per second) from a device", shown="[]"),
    Flag("device-write-bps", BYTE_RATES, "Limit write rate (bytes per second) to a device", shown="[]"),
    Flag("device-write-iops", OPERATION_RATES, "Limit write rate (IO per second) to a device", shown="[]"),
    Flag("io-maxbandwidth", SIZE, "Maximum IO bandwidth limit for the system drive (Windows only)"),
    Flag("io-maxiops", UINT, "Maximum IOps limit for the system drive (Windows only)"),
)
_HEALTH = (
    Flag("health-cmd", STRING, "Command to run to check health"),
    Flag("health-interval", DURATION, "Time between running the check (ms|s|m|h)", shown="0s"),
    Flag("health-retries", INT, "Consecutive failures needed to report unhealthy"),
    Flag(
        "health-start-interval",
        DURATION,
        "Time between running the check during the start period (ms|s|m|h)",
        shown="0s",
    ),
    Flag(
        "health-start-period",
        DURATION,
        "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)",
        shown="0s",
    ),
    Flag("health-timeout", DURATION, "Maximum time to allow one check to run (ms|s|m|h)", shown="0s"),
    Flag("no-healthcheck", BOOL, "Disable any container-specified HEALTHCHECK"),
)
_LIFE = (
    Flag("restart", STRING, "Restart policy to apply when a container exits", default="no"),
    Flag("rm", BOOL, "Automatically remove the container and its associated anonymous volumes when it exits"),
    Flag("stop-signal", STRING, "Signal to stop the container"),
    Flag("stop-timeout", INT, "Timeout (in seconds) to stop a container"),
    Flag("log-driver", STRING, "Logging driver for the container"),
    Flag("log-opt", LIST, "Log driver options"),
)
