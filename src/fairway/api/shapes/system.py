"""The engine about itself, and its events (API ``SystemInfo``, ``SystemVersion``, ``EventMessage``)."""

import platform
from collections.abc import Sequence
from typing import Any

from fairway import __version__
from fairway.api import times, versions
from fairway.api.versions import Version
from fairway.model.container import Container
from fairway.model.event import Event
from fairway.model.system import SystemFacts

Json = dict[str, Any]

NETWORK_DRIVERS = ("bridge", "host", "null")
_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def version(facts: SystemFacts) -> Json:
    """``GET /version``. Clients expect ``GoVersion``; it tells what runs instead."""
    arch = _GO_ARCH.get(facts.arch, facts.arch)
    build = {
        "ApiVersion": versions.text(versions.NEWEST),
        "MinAPIVersion": versions.text(versions.OLDEST),
        "GitCommit": "",
        "GoVersion": f"none (Python {platform.python_version()})",
        "Os": "linux",
        "Arch": arch,
        "KernelVersion": facts.kernel,
        "BuildTime": "",
    }
    components = [
        {"Name": "Engine", "Version": __version__, "Details": {**build, "Experimental": "false"}},
        {"Name": facts.runtime_name, "Version": facts.runtime_version, "Details": {"GitCommit": ""}},
        {"Name": "conmon", "Version": facts.conmon_version, "Details": {"GitCommit": ""}},
    ]
    return {
        "Platform": {"Name": "Fairway Engine"},
        "Components": components,
        "Version": __version__,
        **build,
    }


def info(
    facts: SystemFacts, containers: Sequence[Container], images: int, now: int, version: Version
) -> Json:
    """``GET /info``."""
    running = sum(each.state.status in ("running", "restarting") for each in containers)
    paused = sum(each.state.status == "paused" for each in containers)
    return {
        "ID": facts.id,
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running - paused,
        "Images": images,
        "Driver": facts.storage_driver,
        "DriverStatus": [],
        "Plugins": {
            "Volume": ["local"],
            "Network": list(NETWORK_DRIVERS),
            "Authorization": None,
            "Log": ["json-file"],
        },
        **_features(facts),
        **(_bridge_netfilter(facts) if version < (1, 50) else {}),
        **_environment(facts, now),
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        **_runtimes(facts),
        "DefaultAddressPools": [{"Base": pool.base, "Size": pool.size} for pool in facts.address_pools],
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": [],
        "Warnings": list(facts.warnings) or None,
    }


def _features(facts: SystemFacts) -> Json:
    return {
        "MemoryLimit": True,
        "SwapLimit": True,
        "CpuCfsPeriod": True,
        "CpuCfsQuota": True,
        "CPUShares": True,
        "CPUSet": True,
        "PidsLimit": True,
        "OomKillDisable": facts.cgroup_version == "1",
        "IPv4Forwarding": facts.ipv4_forwarding,
        "Debug": facts.debug,
        "NFd": 0,
        "NGoroutines": 0,
        "NEventsListener": 0,
        "LoggingDriver": "json-file",
        "CgroupDriver": facts.cgroup_driver,
        "CgroupVersion": facts.cgroup_version,
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": True,
    }


def _bridge_netfilter(facts: SystemFacts) -> Json:
    """API 1.50 dropped these."""
    return {"BridgeNfIptables": facts.bridge_nf_iptables, "BridgeNfIp6tables": facts.bridge_nf_iptables}


def _environment(facts: SystemFacts, now: int) -> Json:
    return {
        "SystemTime": times.rfc3339(now),
        "KernelVersion": facts.kernel,
        "OperatingSystem": facts.os,
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": facts.arch,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {
            "IndexConfigs": {},
            "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
            "Mirrors": None,
        },
        "NCPU": facts.cpus,
        "MemTotal": facts.memory,
        "GenericResources": None,
        "DockerRootDir": facts.data_root,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": facts.name,
        "Labels": list(facts.labels),
        "ServerVersion": __version__,
    }


def _runtimes(facts: SystemFacts) -> Json:
    return {
        "Runtimes": {name: {"path": path} for name, path in facts.runtimes.items()},
        "DefaultRuntime": facts.runtime_name,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": facts.runtime_version},
        "InitCommit": {"ID": ""},
        "SecurityOptions": ["name=seccomp,profile=builtin"],
    }


def event(happened: Event) -> Json:
    """One message of ``GET /events``. ``status``, ``id``, ``from`` are what clients before API 1.22 read."""
    shape: Json = {}
    if happened.type in ("container", "image"):
        shape = {"status": happened.action, "id": happened.id}
    if happened.type == "container":
        shape["from"] = happened.attributes.get("image", "")
    return {
        **shape,
        "Type": happened.type,
        "Action": happened.action,
        "Actor": {"ID": happened.id, "Attributes": happened.attributes},
        "scope": happened.scope,
        "time": happened.time // times.SECOND,
        "timeNano": happened.time,
    }
