"""The Go types behind ``inspect -f``: which fields an object has, in which order, under which names.

A template sees Docker's Go structs, not the JSON: ``.ID`` where JSON says ``Id``, ``.State.Health``
although JSON leaves an absent one out, ``{{.IPAM.Config}}`` printed as ``[{172.18.0.0/16 172.18.0.1
map[]}]``. Each type is one line of fields: ``Go=Json`` when the names differ; then ``#`` integer, ``!``
boolean, ``[]`` list, ``{}`` map, ``*`` pointer, ``@`` time (nothing: a string); then ``:type``; then ``?``
when JSON leaves out an empty one.

What a type does not name is found all the same, as ``inspect`` falls back to the JSON itself.
Source: moby ``api/types``.
"""

from __future__ import annotations

import re
from typing import Any

from fairway.cli.clock import go_time
from fairway.cli.template.values import NIL, NilList, NilMap, Struct, TextMap, Time

_TYPES = {
    "network": (
        "Name ID=Id Created@ Scope Driver EnableIPv4! EnableIPv6! IPAM:ipam Internal! Attachable! Ingress! "
        "ConfigFrom:configref ConfigOnly! Containers{}:netmember Options{} Labels{} Peers[]:peer? Services{}?"
    ),
    "empty": "",
    "ipam": "Driver Options{} Config[]:pool",
    "pool": "Subnet? IPRange? Gateway? AuxAddress=AuxiliaryAddresses{}?",
    "configref": "Network",
    "netmember": "Name EndpointID MacAddress IPv4Address IPv6Address",
    "peer": "Name IP",
    "container": (
        "ID=Id Created Path Args[] State*:state Image ResolvConfPath HostnamePath HostsPath LogPath Name "
        "RestartCount# Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs[] "
        "HostConfig*:hostconfig GraphDriver:graph SizeRw*? SizeRootFs*? Mounts[]:mount Config*:config "
        "NetworkSettings*:netsettings"
    ),
    "state": (
        "Status Running! Paused! Restarting! OOMKilled! Dead! Pid# ExitCode# Error StartedAt FinishedAt "
        "Health*:health?"
    ),
    "health": "Status FailingStreak# Log[]:probe",
    "probe": "Start@ End@ ExitCode# Output",
    "graph": "Data{} Name",
    "mount": "Type? Name? Source Destination Driver? Mode RW! Propagation",
    "config": (
        "Hostname Domainname User AttachStdin! AttachStdout! AttachStderr! ExposedPorts{}:empty? Tty! "
        "OpenStdin! StdinOnce! Env[] Cmd[] Healthcheck*:healthcheck? ArgsEscaped!? Image Volumes{}:empty "
        "WorkingDir Entrypoint[] NetworkDisabled!? MacAddress? OnBuild[] Labels{} StopSignal? StopTimeout*? "
        "Shell[]?"
    ),
    "healthcheck": "Test[]? Interval#? Timeout#? StartPeriod#? StartInterval#? Retries#?",
    "hostconfig": (
        "Binds[] ContainerIDFile LogConfig:logconfig NetworkMode PortBindings{}[]:binding "
        "RestartPolicy:restart AutoRemove! VolumeDriver VolumesFrom[] ConsoleSize[] Annotations{}? CapAdd[] "
        "CapDrop[] CgroupnsMode DNS=Dns[] DNSOptions=DnsOptions[] DNSSearch=DnsSearch[] ExtraHosts[] "
        "GroupAdd[] IpcMode Cgroup Links[] OomScoreAdj# PidMode Privileged! PublishAllPorts! ReadonlyRootfs! "
        "SecurityOpt[] StorageOpt{}? Tmpfs{}? UTSMode UsernsMode ShmSize# Sysctls{}? Runtime? Isolation "
        "CPUShares=CpuShares# Memory# NanoCPUs=NanoCpus# CgroupParent BlkioWeight# BlkioWeightDevice[] "
        "BlkioDeviceReadBps[] BlkioDeviceWriteBps[] BlkioDeviceReadIOps[] BlkioDeviceWriteIOps[] "
        "CPUPeriod=CpuPeriod# CPUQuota=CpuQuota# CPURealtimePeriod=CpuRealtimePeriod# "
        "CPURealtimeRuntime=CpuRealtimeRuntime# CpusetCpus CpusetMems Devices[]:device DeviceCgroupRules[] "
        "DeviceRequests[] MemoryReservation# MemorySwap# MemorySwappiness* OomKillDisable* PidsLimit* "
        "Ulimits[]:ulimit CPUCount=CpuCount# CPUPercent=CpuPercent# IOMaximumIOps# IOMaximumBandwidth# "
        "Mounts[]? MaskedPaths[] ReadonlyPaths[] Init*?"
    ),
    "logconfig": "Type Config{}",
    "restart": "Name MaximumRetryCount#",
    "device": "PathOnHost PathInContainer CgroupPermissions",
    "ulimit": "Name Hard# Soft#",
    "netsettings": (
        "Bridge SandboxID SandboxKey Ports{}[]:binding HairpinMode! LinkLocalIPv6Address "
        "LinkLocalIPv6PrefixLen# SecondaryIPAddresses[] SecondaryIPv6Addresses[] EndpointID Gateway "
        "GlobalIPv6Address GlobalIPv6PrefixLen# IPAddress IPPrefixLen# IPv6Gateway MacAddress "
        "Networks{}*:endpoint"
    ),
    "binding": "HostIP=HostIp HostPort",
    "endpoint": (
        "IPAMConfig*:endpointipam Links[] Aliases[] MacAddress DriverOpts{} GwPriority# NetworkID EndpointID "
        "Gateway IPAddress IPPrefixLen# IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen# DNSNames[]"
    ),
    "endpointipam": "IPv4Address? IPv6Address? LinkLocalIPs[]?",
    "image": (
        "ID=Id RepoTags[] RepoDigests[] Parent Comment Created? DockerVersion Author Config*:imageconfig "
        "Architecture Variant? Os OsVersion? Size# VirtualSize#? GraphDriver:graph RootFS:rootfs "
        "Metadata:imagemeta"
    ),
    "imageconfig": (
        "User? ExposedPorts{}:empty? Env[]? Entrypoint[]? Cmd[]? Volumes{}:empty? WorkingDir? Labels{}? "
        "StopSignal? ArgsEscaped!? Healthcheck*:healthcheck? OnBuild[]? Shell[]?"
    ),
    "rootfs": "Type? Layers[]?",
    "imagemeta": "LastTagTime@?",
    "volume": (
        "ClusterVolume*? CreatedAt? Driver Labels{} Mountpoint Name Options{} Scope Status{}? UsageData*?"
    ),
}
_FIELD = re.compile(r"(\w+)(?:=(\w+))?((?:[#!@*]|\[\]|\{\})*)(?::(\w+))?(\?)?$")


def decode(kind: str, data: Any) -> Any:
    """JSON ``data`` as the Go type ``kind``."""
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    omitted: set[str] = set()
    source = data if isinstance(data, dict) else {}
    for text in _TYPES[kind].split():
        found = _FIELD.match(text)
        assert found is not None, text
        name, key = found[1], found[2] or found[1]
        values[name] = _value(source.get(key), found[3], found[4])
        if key != name:
            keys[name] = key
        if found[5]:
            omitted.add(name)
    return Struct(values, keys, frozenset(omitted))


def _value(data: Any, marks: str, kind: str | None) -> Any:
    if marks.startswith("[]"):
        return NilList() if data is None else [_value(item, marks[2:], kind) for item in data]
    if marks.startswith("{}"):
        if data is None:
            return NilMap()
        if marks[2:] or kind:
            return {key: _value(item, marks[2:], kind) for key, item in data.items()}
        return TextMap(data)
    if marks.startswith("*"):
        return NIL if data is None else _value(data, marks[1:], kind)
    if kind:
        return decode(kind, data)
    if marks == "@":
        return Time(str(data or "0001-01-01T00:00:00Z"), go_time(str(data or "0001-01-01T00:00:00Z")))
    if data is not None:
        return data
    return 0 if marks == "#" else False if marks == "!" else ""
