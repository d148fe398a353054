"""Containers and execs (API ``ContainerInspectResponse``, ``ContainerSummary``, ``ExecInspectResponse``)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fairway.api import times
from fairway.api.shapes import networks
from fairway.api.versions import Version
from fairway.model.container import (
    Config,
    Container,
    ContainerPaths,
    Health,
    HostConfig,
    MountPoint,
    State,
)
from fairway.model.network import Endpoint, Network, Sandbox
from fairway.model.process import Exec

Json = dict[str, Any]
Attachments = Sequence[tuple[Network, Endpoint]]

_CONFIG_OMIT = (
    "ExposedPorts",
    "Healthcheck",
    "NetworkDisabled",
    "MacAddress",
    "StopSignal",
    "StopTimeout",
    "Shell",
)
_HOST_OMIT = ("Annotations", "Mounts", "StorageOpt", "Tmpfs", "Sysctls", "Runtime", "Init")
_HOST_NULL = (
    "Binds",
    "CapAdd",
    "CapDrop",
    "DeviceCgroupRules",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "SecurityOpt",
    "VolumesFrom",
)
_HOST_WINDOWS_AND_BLKIO: Json = {
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [],
    "DeviceRequests": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
}


def container_inspect(
    container: Container,
    endpoints: Attachments,
    sandbox: Sandbox | None,
    paths: ContainerPaths,
    health: Health | None,
    version: Version,
    *,
    driver: str,
    links: Sequence[str] = (),
    execs: Sequence[str] = (),
    sizes: tuple[int, int] | None = None,
) -> Json:
    """``GET /containers/{id}/json``; ``sizes`` are bytes of the writable layer and of the whole tree."""
    argv = [*(container.config.entrypoint or ()), *(container.config.cmd or ())]
    shape: Json = {
        "Id": container.id,
        "Created": times.rfc3339(container.created),
        "Path": argv[0] if argv else "",
        "Args": argv[1:],
        "State": _state(container.state, health),
        "Image": container.image,
        "ResolvConfPath": paths.resolv_conf,
        "HostnamePath": paths.hostname,
        "HostsPath": paths.hosts,
        "LogPath": paths.log,
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": driver,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": list(execs) or None,
        "HostConfig": host_config(container.host) | {"Links": list(links) or None},
        "GraphDriver": {"Data": {}, "Name": driver},
        "Mounts": [_mount(each) for each in container.mounts],
        "Config": config(container.config),
        "NetworkSettings": networks.network_settings(container, endpoints, sandbox, version),
    }
    if sizes is not None:
        shape |= {"SizeRw": sizes[0], "SizeRootFs": sizes[1]}
    return shape


def config(given: Config) -> Json:
    """``Config``: members that Docker leaves out when empty are left out."""
    shape: Json = msgspec.to_builtins(given)
    for name in _CONFIG_OMIT:
        if shape[name] is None or (name != "StopTimeout" and not shape[name]):
            del shape[name]
    for name in ("Volumes", "OnBuild"):
        shape[name] = shape[name] or None
    return shape


def host_config(given: HostConfig) -> Json:
    """``HostConfig``: what this engine knows, and constants for the rest of Docker's fields."""
    shape: Json = {**msgspec.to_builtins(given), **_HOST_WINDOWS_AND_BLKIO}
    shape["LogConfig"]["Type"] = given.log_config.type or "json-file"  # docker-py reads output by it
    for name in _HOST_OMIT:
        if not shape[name] and shape[name] is not False:
            del shape[name]
    for name in _HOST_NULL:
        shape[name] = shape[name] or None
    return shape


def _state(state: State, health: Health | None) -> Json:
    shape: Json = {
        "Status": state.status,
        "Running": state.running,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": times.rfc3339(state.started),
        "FinishedAt": times.rfc3339(state.finished),
    }
    if health is not None:
        shape["Health"] = {
            "Status": health.status,
            "FailingStreak": health.failing_streak,
            "Log": [
                {
                    "Start": times.rfc3339(probe.started),
                    "End": times.rfc3339(probe.ended),
                    "ExitCode": probe.exit_code,
                    "Output": probe.output,
                }
                for probe in health.log
            ],
        }
    return shape


def _mount(mount: MountPoint) -> Json:
    shape: Json = {"Type": mount.type}
    if mount.name:
        shape["Name"] = mount.name
    shape |= {"Source": mount.source, "Destination": mount.destination}
    if mount.driver:
        shape["Driver"] = mount.driver
    return {**shape, "Mode": mount.mode, "RW": not mount.read_only, "Propagation": mount.propagation}


def status_text(state: State, health: Health | None, now: int) -> str:
    """The STATUS column of ``docker ps``: ``Up 3 seconds (healthy)``, ``Exited (0) 2 minutes ago``."""
    up, since = times.ago(now - state.started), times.ago(now - state.finished)
    if state.status == "restarting":
        return f"Restarting ({state.exit_code}) {since} ago"
    if state.status == "paused":
        return f"Up {up} (Paused)"
    if state.status == "running":
        if health is None:
            return f"Up {up}"
        return f"Up {up} ({'health: starting' if health.status == 'starting' else health.status})"
    if state.status == "removing":
        return "Removal In Progress"
    if state.status == "dead":
        return "Dead"
    if state.status == "created" or not state.started:
        return "Created"
    return f"Exited ({state.exit_code}) {since} ago"


def container_summary(
    container: Container,
    endpoints: Attachments,
    health: Health | None,
    version: Version,
    *,
    image: str,
    names: Sequence[str],
    now: int,
    sizes: tuple[int, int] | None = None,
) -> Json:
    """One entry of ``GET /containers/json``; ``image`` is the name asked for, or the id once it moved on."""
    shape: Json = {
        "Id": container.id,
        "Names": list(names),
        "Image": image,
        "ImageID": container.image,
        "Command": _command(container.config),
        "Created": container.created // times.SECOND,
        "Ports": _port_list(container) if networks.leads_outside(endpoints) else [],
        "Labels": container.config.labels,
        "State": container.state.status,
        "Status": status_text(container.state, health, now),
        "HostConfig": {"NetworkMode": container.host.network_mode},
        "NetworkSettings": {
            "Networks": {
                net.name: networks.endpoint_settings(net, endpoint, container, version)
                for net, endpoint in endpoints
            }
        },
        "Mounts": [_mount(each) for each in container.mounts],
    }
    if container.host.annotations:
        shape["HostConfig"]["Annotations"] = container.host.annotations
    if sizes is not None:
        shape |= {"SizeRw": sizes[0], "SizeRootFs": sizes[1]}
    return shape


def _command(given: Config) -> str:
    path, *arguments = [*(given.entrypoint or ()), *(given.cmd or ())] or [""]
    return " ".join([path, *(f"'{each}'" if " " in each else each for each in arguments)])


def _port_list(container: Container) -> list[Json]:
    if not container.state.running:
        return []
    published = [
        {
            "IP": port.host_address,
            "PrivatePort": port.container_port,
            "PublicPort": port.host_port,
            "Type": port.protocol,
        }
        for port in container.ports
    ]
    known = {f"{port.container_port}/{port.protocol}" for port in container.ports}
    split = (port.partition("/") for port in container.config.exposed_ports if port not in known)
    return [
        *published,
        *({"PrivatePort": int(number), "Type": protocol or "tcp"} for number, _, protocol in split),
    ]


def exec_inspect(instance: Exec) -> Json:
    """``GET /exec/{id}/json``; ``ExitCode`` is null until the process has ended."""
    asked = instance.request
    process: Json = {
        "tty": asked.tty,
        "entrypoint": asked.argv[0],
        "arguments": list(asked.argv[1:]),
        "privileged": asked.privileged,
    }
    if asked.user:
        process["user"] = asked.user
    return {
        "ID": instance.id,
        "Running": instance.running,
        "ExitCode": instance.exit_code,
        "ProcessConfig": process,
        "OpenStdin": asked.attach_stdin,
        "OpenStderr": asked.attach_stderr,
        "OpenStdout": asked.attach_stdout,
        "CanRemove": False,
        "ContainerID": instance.container_id,
        "DetachKeys": asked.detach_keys,
        "Pid": instance.pid,
    }


def changes(pairs: Iterable[tuple[str, int]]) -> list[Json] | None:
    """``GET /containers/{id}/changes``; null when nothing changed."""
    return [{"Path": path, "Kind": kind} for path, kind in pairs] or None
