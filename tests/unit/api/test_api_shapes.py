"""Shapes against the properties that the published API (docker-engine v1.51) lists, and Docker's nulls."""

from typing import Any

import msgspec
import pytest

from fairway.api import shapes, times
from fairway.model.container import (
    Config,
    ContainerPaths,
    Health,
    HealthProbe,
    HostConfig,
    MountPoint,
    State,
)
from fairway.model.event import Event
from fairway.model.network import EndpointRequest
from fairway.model.process import Exec, ExecRequest
from unit.api.fake_engine import BRIDGE, IMAGE, SECOND, FakeSystem, container, endpoint

NEWEST = (1, 51)
PATHS = ContainerPaths(resolv_conf="/r", hostname="/n", hosts="/h", log="/l")

PUBLISHED = {
    "inspect": "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name "
    "RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver "
    "Mounts Config NetworkSettings",
    "settings": "Bridge SandboxID HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen Ports SandboxKey "
    "SecondaryIPAddresses SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen "
    "IPAddress IPPrefixLen IPv6Gateway MacAddress Networks",
    "endpoint": "IPAMConfig Links MacAddress Aliases DriverOpts GwPriority NetworkID EndpointID Gateway "
    "IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen DNSNames",
    "state": "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt",
    "summary": "Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings "
    "Mounts",
    "network": "Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress "
    "ConfigFrom ConfigOnly Containers Options Labels",
    "image": "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os "
    "Size GraphDriver RootFS Metadata",
    "image summary": "Id ParentId RepoTags RepoDigests Created Size SharedSize Labels Containers",
    "host config": "CpuShares Memory CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps "
    "BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod "
    "CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation "
    "MemorySwap MemorySwappiness NanoCpus OomKillDisable PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps "
    "IOMaximumBandwidth Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove "
    "VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts "
    "GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt "
    "UTSMode UsernsMode ShmSize Isolation MaskedPaths ReadonlyPaths",
    "config": "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env "
    "Cmd Image Volumes WorkingDir Entrypoint OnBuild Labels",
    "info": "ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus "
    "DockerRootDir Plugins MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit "
    "OomKillDisable IPv4Forwarding Debug NFd NGoroutines SystemTime LoggingDriver CgroupDriver CgroupVersion "
    "NEventsListener KernelVersion OperatingSystem OSVersion OSType Architecture NCPU MemTotal "
    "IndexServerAddress RegistryConfig GenericResources HttpProxy HttpsProxy NoProxy Name Labels "
    "ExperimentalBuild ServerVersion Runtimes DefaultRuntime Swarm LiveRestoreEnabled Isolation InitBinary "
    "ContainerdCommit RuncCommit InitCommit SecurityOptions DefaultAddressPools FirewallBackend Warnings "
    "CDISpecDirs",
    "version": "Platform Components Version ApiVersion MinAPIVersion GitCommit GoVersion Os Arch "
    "KernelVersion BuildTime",
}


def published(name: str) -> set[str]:
    return set(PUBLISHED[name].split())


def inspect(version: tuple[int, int] = NEWEST, **changes: Any) -> dict[str, Any]:
    made = container(**changes)
    return shapes.container_inspect(
        made, [(BRIDGE, endpoint(made))], None, PATHS, None, version, driver="overlay2"
    )


def test_container_inspect_has_exactly_the_published_members() -> None:
    shape = inspect()
    assert set(shape) == published("inspect")
    assert set(shape["NetworkSettings"]) == published("settings")
    assert set(shape["NetworkSettings"]["Networks"]["bridge"]) == published("endpoint")
    assert set(shape["State"]) == published("state")
    assert set(shape["HostConfig"]) == published("host config")
    assert set(shape["Config"]) == published("config")
    assert (shape["Name"], shape["Path"], shape["Args"]) == ("/web", "sh", ["-c", "echo hi"])


def test_addresses_in_inspect() -> None:
    settings = inspect()["NetworkSettings"]
    for shape in (settings, settings["Networks"]["bridge"]):
        assert (shape["IPAddress"], shape["IPPrefixLen"], shape["Gateway"]) == (
            "172.17.0.2",
            16,
            "172.17.0.1",
        )
        assert (shape["GlobalIPv6Address"], shape["MacAddress"]) == ("", "02:42:ac:11:00:02")


def test_nulls_where_docker_has_nulls() -> None:
    shape = inspect()
    assert shape["HostConfig"]["Binds"] is None
    assert msgspec.json.encode(shape["HostConfig"]["Dns"]) == b"[]"
    assert shape["HostConfig"]["MemorySwappiness"] is None
    assert shape["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert shape["Config"]["Volumes"] is None
    assert shape["Config"]["Entrypoint"] is None
    assert shape["Config"]["Labels"] == {}
    assert shape["NetworkSettings"]["Networks"]["bridge"]["IPAMConfig"] is None
    assert shape["NetworkSettings"]["Networks"]["bridge"]["Aliases"] is None


def test_members_left_out_when_empty_appear_when_set() -> None:
    shape = inspect(
        config=Config(stop_timeout=0, stop_signal="SIGINT", exposed_ports={"80/tcp": {}}),
        host=HostConfig(init=False, tmpfs={"/t": ""}, runtime="crun"),
    )
    assert (shape["Config"]["StopTimeout"], shape["Config"]["StopSignal"]) == (0, "SIGINT")
    assert (shape["HostConfig"]["Init"], shape["HostConfig"]["Runtime"]) == (False, "crun")
    assert shape["NetworkSettings"]["Ports"] == {"80/tcp": None}


@pytest.mark.parametrize(
    "network",
    [{"driver": "host"}, {"driver": "null"}, {"internal": True}],
)
def test_where_ports_lead_to_nothing_there_are_none(network: dict[str, Any]) -> None:
    made = container(config=Config(exposed_ports={"80/tcp": {}}))
    there = [(msgspec.structs.replace(BRIDGE, **network), endpoint(made))]
    shape = shapes.container_inspect(made, there, None, PATHS, None, NEWEST, driver="overlay2")
    assert shape["NetworkSettings"]["Ports"] == {}
    listed = shapes.container_summary(made, there, None, NEWEST, image="busybox", names=[], now=0)
    assert listed["Ports"] == []


def test_a_stopped_container_has_no_ports() -> None:
    shape = inspect(state=State(status="exited"), config=Config(exposed_ports={"80/tcp": {}}))
    assert shape["NetworkSettings"]["Ports"] == {}
    assert shape["State"]["StartedAt"] == "0001-01-01T00:00:00Z"


def test_aliases_held_the_short_id_before_1_45() -> None:
    made = container()
    net = msgspec.structs.replace(BRIDGE, name="app")
    there = msgspec.structs.replace(endpoint(made), request=EndpointRequest(aliases=("db",)))
    old, new = (shapes.endpoint_settings(net, there, made, (1, minor)) for minor in (44, 45))
    assert (old["Aliases"], new["Aliases"]) == (["db", made.id[:12]], ["db"])
    assert new["DNSNames"] == ["web", "db", made.id[:12]]


def test_health_in_inspect_and_status() -> None:
    health = Health(
        status="healthy", log=(HealthProbe(started=SECOND, ended=2 * SECOND, exit_code=0, output=""),)
    )
    made = container()
    shape = shapes.container_inspect(made, [], None, PATHS, health, NEWEST, driver="overlay2")
    assert shape["State"]["Health"]["Log"][0]["Start"] == "1970-01-01T00:00:01Z"
    assert shapes.status_text(made.state, health, made.state.started + 5 * SECOND) == "Up 5 seconds (healthy)"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(status="created"), "Created"),
        (State(status="running", started=SECOND), "Up About a minute"),
        (State(status="paused", started=40 * SECOND), "Up 50 seconds (Paused)"),
        (State(status="exited", started=1, finished=89 * SECOND, exit_code=137), "Exited (137) 1 second ago"),
        (
            State(status="restarting", started=1, finished=60 * SECOND, exit_code=1),
            "Restarting (1) 30 seconds ago",
        ),
        (State(status="removing"), "Removal In Progress"),
        (State(status="dead"), "Dead"),
    ],
)
def test_status_text(state: State, text: str) -> None:
    assert shapes.status_text(state, None, 90 * SECOND) == text


def test_container_summary() -> None:
    made = container(
        config=Config(cmd=("sh", "-c", "echo hi"), exposed_ports={"80/tcp": {}}),
        mounts=(MountPoint(type="volume", name="v", source="/s", destination="/d", driver="local"),),
    )
    there = [(BRIDGE, endpoint(made))]
    shape = shapes.container_summary(
        made, there, None, NEWEST, image="busybox", names=["/web"], now=made.state.started
    )
    assert set(shape) == published("summary")
    assert (shape["Command"], shape["Names"], shape["Created"]) == (
        "sh -c 'echo hi'",
        ["/web"],
        1_700_000_000,
    )
    assert shape["Ports"] == [{"PrivatePort": 80, "Type": "tcp"}]
    assert shape["Mounts"][0]["RW"] is True


def test_network() -> None:
    made = container()
    shape = shapes.network(BRIDGE, [(made, endpoint(made))])
    assert set(shape) == published("network")
    assert shape["IPAM"] == {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
    }
    assert shape["Containers"][made.id] == {
        "Name": "web",
        "EndpointID": "e" * 64,
        "MacAddress": "02:42:ac:11:00:02",
        "IPv4Address": "172.17.0.2/16",
        "IPv6Address": "",
    }


def test_a_network_without_addresses() -> None:
    none = msgspec.structs.replace(BRIDGE, name="none", driver="null", pools=())
    assert shapes.network(none)["IPAM"]["Config"] is None


def test_images_over_versions() -> None:
    new, old = (shapes.image_inspect(IMAGE, version, driver="overlay2") for version in (NEWEST, (1, 43)))
    assert set(new) == published("image")
    assert new["Config"] == {"Cmd": ["sh"], "Labels": {"a": "b"}}
    assert old["Config"]["Tty"] is False
    assert old["VirtualSize"] == IMAGE.size
    assert set(shapes.image_summary(IMAGE, NEWEST, tags=IMAGE.tags)) == published("image summary")
    assert shapes.image_summary(IMAGE, (1, 42), tags=())["RepoTags"] == ["<none>:<none>"]
    assert shapes.image_summary(IMAGE, NEWEST, tags=())["RepoTags"] == []


def test_info_and_version() -> None:
    facts = FakeSystem().info()
    shape = shapes.info(facts, [container(), container(state=State())], 1, SECOND, (1, 51))
    assert published("info") <= set(shape)
    assert "BridgeNfIptables" not in shape
    assert "BridgeNfIptables" in shapes.info(facts, [], 1, SECOND, (1, 49))
    assert (shape["Containers"], shape["ContainersRunning"], shape["ContainersStopped"]) == (2, 1, 1)
    assert set(shapes.version(facts)) == published("version")
    assert shapes.version(facts)["Arch"] == "amd64"


def test_event() -> None:
    shape = shapes.event(
        Event(type="container", action="start", id="c", attributes={"image": "busybox"}, time=5 * SECOND + 1)
    )
    assert shape == {
        "status": "start",
        "id": "c",
        "from": "busybox",
        "Type": "container",
        "Action": "start",
        "Actor": {"ID": "c", "Attributes": {"image": "busybox"}},
        "scope": "local",
        "time": 5,
        "timeNano": 5 * SECOND + 1,
    }


def test_exec_inspect_without_end() -> None:
    shape = shapes.exec_inspect(Exec(id="e", container_id="c", request=ExecRequest(argv=("sh", "-c", "x"))))
    assert shape["ExitCode"] is None
    assert shape["ProcessConfig"] == {
        "tty": False,
        "entrypoint": "sh",
        "arguments": ["-c", "x"],
        "privileged": False,
    }


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (SECOND, "1970-01-01T00:00:01Z"),
        (SECOND + 500_000_000, "1970-01-01T00:00:01.5Z"),
        (SECOND + 1, "1970-01-01T00:00:01.000000001Z"),
    ],
)
def test_rfc3339(ns: int, text: str) -> None:
    assert times.rfc3339(ns) == text


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0),
        ("0", 0),
        ("10s", 90 * SECOND),
        ("1m30s", 10 * SECOND),
        ("1.5s", 98_500_000_000),
        ("5", 5 * SECOND),
        ("5.25", 5_250_000_000),
        ("5.000000001", 5 * SECOND + 1),
        ("1970-01-01T00:00:07Z", 7 * SECOND),
        ("1970-01-01T01:00:07.5+01:00", 7_500_000_000),
        ("1970-01-02", 86_400 * SECOND),
    ],
)
def test_times_given_by_clients(text: str, ns: int) -> None:
    assert times.parse(text, 100 * SECOND) == ns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_spans_of_time(seconds: int, text: str) -> None:
    assert times.ago(seconds * SECOND) == text
