"""Every option of dockerd 28, and what becomes of it here: supported, accepted with a note, or refused.

A refused option is an error that says so, never silently ignored: an administrator who restricts something
must not believe that it took effect. ``docs/daemon-options.md`` is generated from this table.
"""

from typing import Literal

import msgspec

Kind = Literal["bool", "string", "int", "list", "map"]
Standing = Literal["supported", "noted", "refused"]

NO_SWARM = "there is no swarm mode"


class Flag(msgspec.Struct, frozen=True):
    name: str
    kind: Kind
    standing: Standing
    help: str
    short: str = ""
    key: str = ""
    """Name in the configuration file, where it differs."""
    old_key: str = ""
    """An earlier name in the configuration file, still accepted."""
    in_file: bool = True

    @property
    def file_key(self) -> str:
        return self.key or self.name

    @property
    def file_keys(self) -> tuple[str, ...]:
        return tuple(key for key in (self.file_key, self.old_key) if key) if self.in_file else ()


def _supported(name: str, kind: Kind, text: str, **more: str | bool) -> Flag:
    return msgspec.convert({"name": name, "kind": kind, "standing": "supported", "help": text, **more}, Flag)


def _noted(name: str, kind: Kind, text: str, key: str = "") -> Flag:
    return Flag(name, kind, "noted", text, key=key)


def _refused(name: str, kind: Kind, text: str, key: str = "", short: str = "") -> Flag:
    return Flag(name, kind, "refused", text, key=key, short=short)


FLAGS: tuple[Flag, ...] = (
    _supported("bip", "string", "IPv4 address and prefix of the default bridge, e.g. 192.168.1.5/24"),
    _supported("bip6", "string", "IPv6 address and prefix of the default bridge"),
    _supported(
        "bridge",
        "string",
        "Attach containers to this bridge, which exists and is left as it is; none: no default network",
        short="b",
    ),
    _supported("config-file", "string", "Daemon configuration file", in_file=False),
    _supported("data-root", "string", "Root directory of persistent state"),
    _supported("debug", "bool", "Enable debug mode", short="D"),
    _supported(
        "default-address-pool",
        "list",
        "Default address pools for node specific local networks (base=…,size=…)",
        key="default-address-pools",
    ),
    _supported(
        "default-gateway", "string", "Next hop of the default bridge's containers, IPv4; else the bridge"
    ),
    _supported(
        "default-gateway-v6", "string", "Next hop of the default bridge's containers, IPv6; else the bridge"
    ),
    _supported(
        "default-network-opt",
        "map",
        "Driver options of networks that do not set them (driver=option=value)",
        key="default-network-opts",
    ),
    _supported("default-runtime", "string", "OCI runtime for containers: crun or runc"),
    _supported("dns", "list", "DNS server to use"),
    _supported("dns-opt", "list", "DNS options to use", key="dns-opts"),
    _supported("dns-search", "list", "DNS search domains to use"),
    _supported("exec-root", "string", "Root directory for execution state files"),
    _supported("fixed-cidr", "string", "Take IPv4 addresses of the default bridge from this range"),
    _supported("fixed-cidr-v6", "string", "Take IPv6 addresses of the default bridge from this range"),
    _supported("group", "string", "Group for the unix socket", short="G"),
    _supported("help", "bool", "Print usage", short="h", in_file=False),
    _supported("host", "list", "Daemon socket(s) to connect to", short="H", key="hosts"),
    _supported(
        "host-gateway-ip",
        "list",
        "What host-gateway means in --add-host: an address of each family; the default bridge's without",
        key="host-gateway-ips",
        old_key="host-gateway-ip",
    ),
    _supported("icc", "bool", "Let containers of the default bridge talk to each other (true)"),
    _supported(
        "insecure-registry", "list", "Registries that may speak plain HTTP", key="insecure-registries"
    ),
    _supported("ip", "string", "Publish ports that name no address on this one (0.0.0.0)"),
    _supported("ip-forward", "bool", "Turn on forwarding in the kernel (true)"),
    _supported("ip-masq", "bool", "Masquerade what leaves the default bridge (true)"),
    _supported("ip6tables", "bool", "Rules for IPv6 (true); without, as for IPv4"),
    _supported(
        "iptables", "bool", "Rules for IPv4 (true); without, ports are proxied and nothing is isolated"
    ),
    _supported("ipv6", "bool", "IPv6 on the default bridge"),
    _supported("label", "list", "Set key=value labels to the daemon", key="labels"),
    _supported(
        "log-level", "string", 'Set the logging level ("debug"|"info"|"warn"|"error"|"fatal")', short="l"
    ),
    _supported("mtu", "int", "Set the MTU for the default bridge network"),
    _supported("pidfile", "string", "Path to use for daemon PID file", short="p"),
    _supported("shutdown-timeout", "int", "Set the shutdown timeout in seconds"),
    _supported("tls", "bool", "Use TLS; implied by --tlsverify"),
    _supported("tlscacert", "string", "Trust certs signed only by this CA"),
    _supported("tlscert", "string", "Path to TLS certificate file"),
    _supported("tlskey", "string", "Path to TLS key file"),
    _supported("tlsverify", "bool", "Use TLS and verify the remote"),
    _supported("validate", "bool", "Validate daemon configuration and exit", in_file=False),
    _supported("version", "bool", "Print version information and quit", short="v", in_file=False),
    _noted("containerd", "string", "unused: containers run under conmon, without containerd"),
    _noted("containerd-namespace", "string", "unused: containers run without containerd"),
    _noted("containerd-plugins-namespace", "string", "unused: containers run without containerd"),
    _noted("experimental", "bool", "unused: there are no experimental features"),
    _noted("firewall-backend", "string", "unused: always nftables, in a table of Fairway's own"),
    _noted("ip-forward-no-drop", "bool", "always so: the policy of a FORWARD chain is never changed"),
    _noted("live-restore", "bool", "always on: containers outlive the daemon whatever the value"),
    _noted("max-concurrent-downloads", "int", "unused: the number of downloads is fixed"),
    _noted("max-concurrent-uploads", "int", "unused: pushing is not supported"),
    _noted("max-download-attempts", "int", "unused: the number of attempts is fixed"),
    _noted("oom-score-adjust", "int", "unused: set OOMScoreAdjust= in the service unit"),
    _noted("storage-driver", "string", "unused: always overlay2"),
    _noted(
        "userland-proxy",
        "bool",
        "unused: the kernel forwards, and one process for all ports serves what it cannot forward",
    ),
    _noted("userland-proxy-path", "string", "unused: one process of Fairway's own serves all ports"),
    _refused("allow-direct-routing", "bool", "unpublished ports stay closed: route by chain user_forward"),
    _refused("bridge-accept-fwmark", "string", "accept by mark in chain user_forward"),
    _refused("add-runtime", "list", "only crun and runc are used", key="runtimes"),
    _refused("allow-nondistributable-artifacts", "list", "pushing is not supported"),
    _refused("api-cors-header", "string", "removed from Docker, too"),
    _refused("authorization-plugin", "list", "there are no plugins", key="authorization-plugins"),
    _refused("cdi-spec-dir", "list", "CDI devices are not supported", key="cdi-spec-dirs"),
    _refused("cgroup-parent", "string", "set it per container"),
    _refused("cpu-rt-period", "int", "set it per container"),
    _refused("cpu-rt-runtime", "int", "set it per container"),
    _refused("default-cgroupns-mode", "string", "set it per container"),
    _refused("default-ipc-mode", "string", "set it per container"),
    _refused("default-shm-size", "string", "set it per container"),
    _refused("default-ulimit", "map", "set it per container", key="default-ulimits"),
    _refused("exec-opt", "list", "the cgroup driver is always cgroupfs", key="exec-opts"),
    _refused("feature", "map", "no feature can be switched", key="features"),
    _refused("http-proxy", "string", "set HTTP_PROXY in the daemon's environment"),
    _refused("https-proxy", "string", "set HTTPS_PROXY in the daemon's environment"),
    _refused("init", "bool", "set it per container"),
    _refused("init-path", "string", "set it per container"),
    _refused("log-driver", "string", "set it for each container; without, it is json-file"),
    _refused("log-format", "string", "the format is always logfmt"),
    _refused("log-opt", "map", "set it per container", key="log-opts"),
    _refused("metrics-addr", "string", "there is no metrics endpoint"),
    _refused("network-control-plane-mtu", "int", NO_SWARM),
    _refused("no-new-privileges", "bool", "set it per container"),
    _refused("no-proxy", "string", "set NO_PROXY in the daemon's environment"),
    _refused("node-generic-resource", "list", NO_SWARM, key="node-generic-resources"),
    _refused("raw-logs", "bool", "the log is never coloured"),
    _refused("registry-mirror", "list", "mirrors are not supported", key="registry-mirrors"),
    _refused("rootless", "bool", "the daemon needs root"),
    _refused("seccomp-profile", "string", "set it per container"),
    _refused("selinux-enabled", "bool", "SELinux is not supported"),
    _refused("storage-opt", "list", "overlay2 takes no options here", key="storage-opts"),
    _refused("swarm-default-advertise-addr", "string", NO_SWARM),
    _refused("userns-remap", "string", "user namespaces are not supported"),
)

BY_NAME = {flag.name: flag for flag in FLAGS}
BY_SHORT = {flag.short: flag for flag in FLAGS if flag.short}
BY_KEY = {key: flag for flag in FLAGS for key in flag.file_keys}


def usage() -> str:
    """The text of ``--help``."""
    lines = [
        "",
        "Usage:  fairwayd [OPTIONS]",
        "",
        "Container networking as an engine of its own",
        "",
        "Options:",
    ]
    rows = []
    for flag in sorted((each for each in FLAGS if each.standing != "refused"), key=lambda each: each.name):
        short = f"-{flag.short}, " if flag.short else "    "
        kind = "" if flag.kind == "bool" else f" {flag.kind}"
        rows.append((f"  {short}--{flag.name}{kind}", flag.help))
    column = max(len(left) for left, _ in rows) + 3
    lines += [left.ljust(column) + text for left, text in rows]
    return "\n".join(lines) + "\n"


def page() -> str:
    """The text of ``docs/daemon-options.md``."""
    titles = {
        "supported": "Supported",
        "noted": "Accepted, with a note in the log",
        "refused": "Refused, with an error",
    }
    lines = [
        "# Options of fairwayd",
        "",
        "Names and rules are dockerd's. Generated from `daemon/flags.py`.",
        "",
    ]
    for standing, title in titles.items():
        lines += [f"## {title}", "", "| flag | in the file | |", "|---|---|---|"]
        for flag in sorted((each for each in FLAGS if each.standing == standing), key=lambda each: each.name):
            names = f"`--{flag.name}`" + (f", `-{flag.short}`" if flag.short else "")
            key = ", ".join(f"`{key}`" for key in flag.file_keys) or "–"
            lines.append(f"| {names} | {key} | {flag.help.replace('|', chr(92) + '|')} |")
        lines.append("")
    return "\n".join(lines)
