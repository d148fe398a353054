"""Options of ``run`` → the body of ``POST /containers/create``.

Validated here is only what Docker's command validates before asking the daemon, with its texts; all the
rest is the daemon's to judge. Fields with no value are left out of the body: the API's default is the same.
Source: docker/cli ``cli/command/container/opts.go``; the API page "Create a container".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairway.cli import ports, terminal
from fairway.cli.flags import Options
from fairway.cli.labels import environment, label_pairs, labels
from fairway.cli.mounts import split_volumes
from fairway.cli.networks import networking
from fairway.model.errors import InvalidParameter

_UNCONFINED_PATHS = "systempaths=unconfined"


def create_body(options: Options, image: str, command: list[str], detached: bool) -> dict[str, Any]:
    """The whole body; raises ``InvalidParameter``."""
    streams = _streams(options, detached)
    published, bindings = ports.published(options.items("publish"))
    exposed = dict.fromkeys([*published, *ports.exposed(options.items("expose"))])
    binds, anonymous = split_volumes(options.items("volume"))
    mode, endpoints = networking(options)
    config: dict[str, Any] = {
        "Image": image,
        "Cmd": command,
        "Entrypoint": _entrypoint(options),
        "Hostname": options.text("hostname"),
        "Domainname": options.text("domainname"),
        "User": options.text("user"),
        "WorkingDir": options.text("workdir"),
        "Env": environment(options.items("env-file"), options.items("env")),
        "Labels": labels(options.items("label-file"), options.items("label")),
        "ExposedPorts": {port: {} for port in exposed},
        "Volumes": {target: {} for target in anonymous},
        "Tty": options.flag("tty"),
        "OpenStdin": options.flag("interactive"),
        "StdinOnce": options.flag("interactive") and "AttachStdin" in streams,
        "StopSignal": options.text("stop-signal"),
        "Healthcheck": _healthcheck(options),
        **dict.fromkeys(streams, True),
    }
    host = _host_config(options, mode) | {"Binds": binds, "PortBindings": bindings}
    # Nought and no mean something here: end at once, and no init whatever the daemon's default.
    timeout = {"StopTimeout": options.number("stop-timeout")} if options.given("stop-timeout") else {}
    init = {"Init": options.flag("init")} if options.given("init") else {}
    return _filled(config) | {
        **timeout,
        "HostConfig": _filled(host) | init,
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """Without empty values; ``[""]`` (an entrypoint reset) and numbers other than 0 stay."""
    return {key: value for key, value in values.items() if value not in (None, "", 0, [], {}, False)}


def _streams(options: Options, detached: bool) -> list[str]:
    """Which of the container's streams the client will be attached to."""
    if detached:
        return []
    wanted = options.items("attach")
    if not wanted:
        wanted = ["stdout", "stderr", *(["stdin"] if options.flag("interactive") else [])]
    return [f"Attach{name.capitalize()}" for name in wanted]


def _entrypoint(options: Options) -> list[str] | None:
    return [options.text("entrypoint")] if options.given("entrypoint") else None


def _host_config(options: Options, mode: str) -> dict[str, Any]:
    return {
        "NetworkMode": mode,
        "AutoRemove": options.flag("rm"),
        "RestartPolicy": restart_policy(options),
        "ContainerIDFile": options.text("cidfile"),
        "Privileged": options.flag("privileged"),
        "PublishAllPorts": options.flag("publish-all"),
        "Links": options.items("link"),
        "Dns": options.items("dns"),
        "DnsOptions": options.items("dns-option"),
        "DnsSearch": options.items("dns-search"),
        "ExtraHosts": options.items("add-host"),
        "VolumesFrom": options.items("volumes-from"),
        "VolumeDriver": options.text("volume-driver"),
        "Mounts": options.values("mount"),
        "Tmpfs": {path: rest for path, _, rest in (text.partition(":") for text in options.items("tmpfs"))},
        "ReadonlyRootfs": options.flag("read-only"),
        "ShmSize": options.number("shm-size"),
        "StorageOpt": label_pairs(options.items("storage-opt")),
        **_capabilities(options.items("cap-add"), options.items("cap-drop")),
        "GroupAdd": options.items("group-add"),
        "Sysctls": options.pairs("sysctl"),
        "LogConfig": _log_config(options),
        "Annotations": options.pairs("annotation"),
        "Isolation": options.text("isolation"),
        "Runtime": options.text("runtime"),
        "OomScoreAdj": options.number("oom-score-adj"),
        "ConsoleSize": list(terminal.size() or (0, 0)),
        **_security(options),
        **_namespaces(options),
        **_resources(options),
    }


def restart_policy(options: Options) -> dict[str, Any]:
    """The policy asked for; raises ``InvalidParameter``."""
    policy = parse_restart(options.text("restart"))
    if options.flag("rm") and policy.get("Name", "no") != "no":
        raise InvalidParameter("conflicting options: cannot specify both --restart and --rm")
    return policy


def parse_restart(text: str) -> dict[str, Any]:
    """``on-failure:3`` → name and count; raises ``InvalidParameter``."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise InvalidParameter("invalid restart policy format: no policy provided before colon")
    if count and not count.lstrip("+-").isdigit():
        raise InvalidParameter("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)} if name else {}


def _log_config(options: Options) -> dict[str, Any]:
    driver, settings = options.text("log-driver"), label_pairs(options.items("log-opt"))
    if driver == "none" and settings:
        raise InvalidParameter("invalid logging opts for driver none")
    return _filled({"Type": driver, "Config": settings})


def _namespaces(options: Options) -> dict[str, str]:
    found = {}
    for option, field, noun, allowed in (
        ("pid", "PidMode", "PID", ("", "host")),
        ("uts", "UTSMode", "UTS", ("", "host")),
        ("userns", "UsernsMode", "USER", ("", "host")),
        ("cgroupns", "CgroupnsMode", "CGROUP", ("", "host", "private")),
    ):
        value = options.text(option)
        joins = option == "pid" and value.startswith("container:") and len(value) > len("container:")
        if value not in allowed and not joins:
            raise InvalidParameter(f"--{option}: invalid {noun} mode")
        found[field] = value
    return found | {"IpcMode": options.text("ipc")}


def _security(options: Options) -> dict[str, Any]:
    """Security options; a seccomp profile is a file of ours, so its contents are sent."""
    found: list[str] = []
    for text in options.items("security-opt"):
        key, equals, value = text.partition("=")
        if not equals and key != "no-new-privileges":
            key, equals, value = text.partition(":")
            if not equals:
                raise InvalidParameter(f'Invalid --security-opt: "{text}"')
        if key == "seccomp" and value not in ("unconfined", "builtin"):
            text = f"seccomp={_profile(value)}"
        found.append(text)
    if _UNCONFINED_PATHS not in found:
        return {"SecurityOpt": found}
    return {
        "SecurityOpt": [text for text in found if text != _UNCONFINED_PATHS],
        "MaskedPaths": (),
        "ReadonlyPaths": (),
    }


def _capabilities(add: list[str], drop: list[str]) -> dict[str, list[str]]:
    """In the kernel's names, sorted; adding wins over dropping."""

    def normal(names: list[str]) -> set[str]:
        upper = {name.strip().upper() for name in names}
        return {name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in upper}

    added = normal(add)
    return {"CapAdd": sorted(added), "CapDrop": sorted(normal(drop) - added)}


def _profile(name: str) -> str:
    try:
        return json.dumps(json.loads(Path(name).read_text()), separators=(",", ":"))
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidParameter(f"opening seccomp profile ({name}) failed: open {name}: {reason}") from error
    except ValueError as error:
        raise InvalidParameter(f"compacting json for seccomp profile ({name}) failed: {error}") from error


def _resources(options: Options) -> dict[str, Any]:
    swappiness = options.number("memory-swappiness")
    if not -1 <= swappiness <= 100:
        raise InvalidParameter(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    devices = [_device(text) for text in options.items("device") if not _is_cdi(text)]
    cdi = [text for text in options.items("device") if _is_cdi(text)]
    return {
        "Memory": options.number("memory"),
        "MemoryReservation": options.number("memory-reservation"),
        "MemorySwap": options.number("memory-swap"),
        "MemorySwappiness": swappiness,
        "KernelMemory": options.number("kernel-memory"),
        "NanoCpus": options.number("cpus"),
        "CpuShares": options.number("cpu-shares"),
        "CpuPeriod": options.number("cpu-period"),
        "CpuQuota": options.number("cpu-quota"),
        "CpuRealtimePeriod": options.number("cpu-rt-period"),
        "CpuRealtimeRuntime": options.number("cpu-rt-runtime"),
        "CpuCount": options.number("cpu-count"),
        "CpuPercent": options.number("cpu-percent"),
        "CpusetCpus": options.text("cpuset-cpus"),
        "CpusetMems": options.text("cpuset-mems"),
        "CgroupParent": options.text("cgroup-parent"),
        "PidsLimit": options.number("pids-limit"),
        "OomKillDisable": options.flag("oom-kill-disable"),
        "Ulimits": sorted(options.values("ulimit"), key=lambda limit: limit["Name"]),
        "Devices": devices,
        "DeviceCgroupRules": options.items("device-cgroup-rule"),
        "DeviceRequests": options.values("gpus") + ([{"Driver": "cdi", "DeviceIDs": cdi}] if cdi else []),
        "BlkioWeight": options.number("blkio-weight"),
        "BlkioWeightDevice": options.values("blkio-weight-device"),
        "BlkioDeviceReadBps": options.values("device-read-bps"),
        "BlkioDeviceReadIOps": options.values("device-read-iops"),
        "BlkioDeviceWriteBps": options.values("device-write-bps"),
        "BlkioDeviceWriteIOps": options.values("device-write-iops"),
        "IOMaximumBandwidth": options.number("io-maxbandwidth"),
        "IOMaximumIOps": options.number("io-maxiops"),
    }


def _is_cdi(text: str) -> bool:
    """``vendor.com/class=name`` (Container Device Interface) rather than a path."""
    return not text.startswith("/") and "=" in text and "/" in text.partition("=")[0]


def _device(text: str) -> dict[str, str]:
    """``/dev/a[:/dev/b][:rwm]``."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise InvalidParameter(f"invalid device specification: {text}")
    inside, permissions = parts[0], "rwm"
    if len(parts) == 3:
        inside, permissions = parts[1], parts[2]
    elif len(parts) == 2 and _is_mode(parts[1]):
        permissions = parts[1]
    elif len(parts) == 2:
        inside = parts[1]
    if not _is_mode(permissions):
        raise InvalidParameter(f"bad mode specified: {permissions}")
    if not inside.startswith("/"):
        raise InvalidParameter(f"{inside} is not an absolute path")
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": permissions}


def _is_mode(text: str) -> bool:
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def _healthcheck(options: Options) -> dict[str, Any] | None:
    command = options.text("health-cmd")
    times = {
        "Interval": options.number("health-interval"),
        "Timeout": options.number("health-timeout"),
        "StartPeriod": options.number("health-start-period"),
        "StartInterval": options.number("health-start-interval"),
    }
    retries = options.number("health-retries")
    if options.flag("no-healthcheck"):
        if command or retries or any(times.values()):
            raise InvalidParameter("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for field, option in (
        ("Interval", "health-interval"),
        ("Timeout", "health-timeout"),
        ("StartPeriod", "health-start-period"),
        ("StartInterval", "health-start-interval"),
    ):
        if times[field] < 0:
            raise InvalidParameter(f"--{option} cannot be negative")
    if retries < 0:
        raise InvalidParameter("--health-retries cannot be negative")
    return _filled({"Test": ["CMD-SHELL", command] if command else [], **times, "Retries": retries}) or None
