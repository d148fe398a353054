"""A container's configuration → the OCI runtime's, case by case."""

from typing import Any

import msgspec
import pytest

from fairway.model.container import Config, Container, Device, HostConfig, MountPoint, Ulimit
from fairway.model.errors import InvalidParameter, System
from fairway.model.process import ExecRequest, Launch
from fairway.runtime import capabilities, devices, oci, process
from fairway.runtime.machine import Machine
from fairway.runtime.seccomp import Profile
from fairway.runtime.users import User

MACHINE = Machine(
    capabilities=tuple(name for name in capabilities.NAMES if name != "CAP_SYS_RESOURCE"),
    hard_limits={"nofile": 1000, "core": -1},
    architecture="x86_64",
    kernel=(6, 18),
    cgroup2=False,
    seccomp=Profile(default_action="SCMP_ACT_ERRNO"),
)
ROOT = User(home="/root")


def build(
    *,
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    mounts: tuple[MountPoint, ...] = (),
    user: User = ROOT,
    machine: Machine = MACHINE,
    nodes: tuple[devices.Node, ...] = (),
    **launch: Any,
) -> dict[str, Any]:
    container = Container(
        id="c" * 64,
        name="box",
        created=0,
        image="",
        config=Config(**({"cmd": ("sh",)} | (config or {}))),
        host=HostConfig(**(host or {})),
        mounts=mounts,
    )
    given = {"rootfs": "/r", "namespace": "/run/netns/x", "hostname": "box"} | launch
    return oci.build(Launch(container=container, **given), oci.Given(user=user, devices=nodes), machine)


def mount(spec: dict[str, Any], target: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in spec["mounts"] if m["destination"] == target)
    return found


def test_defaults() -> None:
    spec = build()
    assert spec["root"] == {"path": "/r", "readonly": False}
    assert spec["hostname"] == "box"
    assert spec["process"]["args"] == ["sh"]
    assert spec["process"]["cwd"] == "/"
    assert spec["process"]["env"] == [process.PATH, "HOSTNAME=box", "HOME=/root"]
    assert spec["process"]["capabilities"]["effective"] == [
        name for name in capabilities.NAMES if name in capabilities.DEFAULT
    ]
    assert len(capabilities.DEFAULT) == 14
    assert "rlimits" not in spec["process"]
    assert spec["linux"]["cgroupsPath"] == "/fairway/" + "c" * 64
    assert [n["type"] for n in spec["linux"]["namespaces"]] == ["mount", "pid", "ipc", "uts", "network"]
    assert spec["linux"]["namespaces"][-1]["path"] == "/run/netns/x"
    assert spec["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert spec["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]
    assert "ro" in mount(spec, "/sys")["options"]
    assert "size=67108864" in mount(spec, "/dev/shm")["options"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"memory": 1000}, {"memory": {"limit": 1000, "swap": 2000}}),
        ({"memory": 1000, "memory_swap": -1}, {"memory": {"limit": 1000, "swap": -1}}),
        ({"memory_swappiness": 0}, {"memory": {"swappiness": 0}}),
        ({"memory_swappiness": -1}, {}),
        ({"oom_kill_disable": True}, {"memory": {"disableOOMKiller": True}}),
        ({"nano_cpus": 1_500_000_000}, {"cpu": {"quota": 150_000, "period": 100_000}}),
        ({"cpu_shares": 512, "cpuset_cpus": "0-1"}, {"cpu": {"shares": 512, "cpus": "0-1"}}),
        ({"pids_limit": 7}, {"pids": {"limit": 7}}),
        ({"pids_limit": -1}, {}),
        ({"blkio_weight": 300}, {"blockIO": {"weight": 300}}),
    ],
)
def test_resources(given: dict[str, Any], expected: dict[str, Any]) -> None:
    resources = build(host=given)["linux"]["resources"]
    resources.pop("devices")
    assert resources == expected


def test_what_this_machine_cannot_do() -> None:
    machine = msgspec.structs.replace(MACHINE, block_weight=False)
    assert "blockIO" not in build(host={"blkio_weight": 300}, machine=machine)["linux"]["resources"]
    assert build(host={"oom_score_adj": 5})["process"]["oomScoreAdj"] == 5
    with pytest.raises(InvalidParameter, match="CAP_SYS_RESOURCE"):
        build(host={"oom_score_adj": -5})


def test_environment_is_replaced_added_and_removed() -> None:
    spec = build(
        config={"env": ("HOSTNAME=me", "A=1", "PATH"), "tty": True}, environment=("DB_PORT=tcp://1",)
    )
    assert spec["process"]["env"] == ["HOSTNAME=me", "TERM=xterm", "DB_PORT=tcp://1", "A=1", "HOME=/root"]


def test_entrypoint_comes_before_the_command() -> None:
    spec = build(config={"entrypoint": ("/e",), "cmd": ("a", "b")})
    assert spec["process"]["args"] == ["/e", "a", "b"]
    with pytest.raises(InvalidParameter, match="no command specified"):
        build(config={"cmd": None})


def test_privileged_has_everything_that_the_daemon_has() -> None:
    spec = build(host={"privileged": True})
    assert spec["process"]["capabilities"]["bounding"] == list(MACHINE.capabilities)
    assert "CAP_SYS_RESOURCE" not in spec["process"]["capabilities"]["bounding"]
    assert "seccomp" not in spec["linux"]
    assert "maskedPaths" not in spec["linux"]
    assert "readonlyPaths" not in spec["linux"]
    assert "rw" in mount(spec, "/sys")["options"]
    assert "rw" in mount(spec, "/sys/fs/cgroup")["options"]
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


@pytest.mark.parametrize(
    ("add", "drop", "count"),
    [
        (("NET_ADMIN",), (), 15),
        (("cap_net_admin",), ("CAP_CHOWN",), 14),
        ((), ("all",), 0),
        (("CHOWN",), ("ALL",), 1),
        (("ALL",), ("CHOWN",), len(MACHINE.capabilities) - 1),
    ],
)
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], count: int) -> None:
    spec = build(host={"cap_add": add, "cap_drop": drop})
    assert len(spec["process"]["capabilities"]["bounding"]) == count


def test_capabilities_that_do_not_exist_here() -> None:
    with pytest.raises(InvalidParameter, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        build(host={"cap_add": ("CAP_FLY",)})
    with pytest.raises(InvalidParameter, match="capability not supported by your kernel or not available"):
        build(host={"cap_add": ("SYS_RESOURCE",)})


def test_other_users_start_without_effective_capabilities() -> None:
    spec = build(user=User(uid=5, gid=6, groups=(7, 6), home="/h"))
    assert set(spec["process"]["capabilities"]) == {"bounding"}
    assert spec["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [6, 7]}
    assert "HOME=/h" in spec["process"]["env"]


@pytest.mark.parametrize(
    ("host", "missing"),
    [({"pid_mode": "host"}, "pid"), ({"ipc_mode": "host"}, "ipc"), ({"uts_mode": "host"}, "uts")],
)
def test_the_hosts_namespaces(host: dict[str, Any], missing: str) -> None:
    spec = build(host=host)
    assert missing not in [n["type"] for n in spec["linux"]["namespaces"]]
    assert ("hostname" in spec) == (missing != "uts")


def test_joined_namespaces() -> None:
    spec = build(joins={"pid": 12, "uts": 12}, host={"pid_mode": "container:x"})
    namespaces = {n["type"]: n.get("path") for n in spec["linux"]["namespaces"]}
    assert namespaces["pid"] == "/proc/12/ns/pid"
    assert namespaces["uts"] == "/proc/12/ns/uts"
    assert namespaces["ipc"] is None
    assert "hostname" not in spec


def test_host_network() -> None:
    spec = build(namespace="")
    assert "network" not in [n["type"] for n in spec["linux"]["namespaces"]]
    assert "sysctl" not in spec["linux"]
    with pytest.raises(System, match=r"sysctl \"net.ipv4.ip_forward\" not allowed in host network namespace"):
        build(namespace="", host={"sysctls": {"net.ipv4.ip_forward": "1"}})


def test_cgroup_namespace_is_private_on_v2_only() -> None:
    def kinds(machine: Machine, **host: Any) -> list[str]:
        return [n["type"] for n in build(machine=machine, host=host)["linux"]["namespaces"]]

    unified = msgspec.structs.replace(MACHINE, cgroup2=True)
    assert "cgroup" not in kinds(MACHINE)
    assert "cgroup" in kinds(MACHINE, cgroupns_mode="private")
    assert "cgroup" in kinds(unified)
    assert "cgroup" not in kinds(unified, privileged=True)
    assert "cgroup" not in kinds(unified, cgroupns_mode="host")


def test_mounts_parents_first_and_instead_of_the_standard_ones() -> None:
    spec = build(
        mounts=(
            MountPoint(type="bind", source="/b", destination="/a/b/", read_only=True, propagation="rslave"),
            MountPoint(type="volume", source="/v", destination="/a"),
            MountPoint(type="tmpfs", source="", destination="/dev/shm", mode="size=1m,exec"),
        ),
        files={"/etc/hosts": "/h"},
        host={"tmpfs": {"/t": ""}},
    )
    targets = [m["destination"] for m in spec["mounts"]]
    assert targets.index("/a") < targets.index("/a/b")
    assert targets.count("/dev/shm") == 1
    assert mount(spec, "/a/b")["options"] == ["rbind", "ro", "rslave"]
    assert mount(spec, "/a")["options"] == ["rbind", "rw", "rprivate"]
    assert mount(spec, "/dev/shm")["options"] == ["nosuid", "nodev", "size=1m", "exec"]
    assert mount(spec, "/t")["options"] == ["noexec", "nosuid", "nodev"]
    assert mount(spec, "/etc/hosts")["source"] == "/h"
    assert spec["linux"]["rootfsPropagation"] == "rslave"


def test_ulimits() -> None:
    spec = build(
        host={"ulimits": (Ulimit(name="nofile", soft=10, hard=20), Ulimit(name="core", soft=-1, hard=-1))}
    )
    assert spec["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
        {"type": "RLIMIT_CORE", "soft": (1 << 64) - 1, "hard": (1 << 64) - 1},
    ]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Ulimit(name="nofile", soft=1, hard=1001), "lacks CAP_SYS_RESOURCE"),
        (Ulimit(name="nofile", soft=1, hard=-1), "lacks CAP_SYS_RESOURCE"),
        (Ulimit(name="nofile", soft=3, hard=2), "soft limit must be less than or equal to hard limit: 3 > 2"),
        (Ulimit(name="fun", soft=1, hard=1), "invalid ulimit type: fun"),
    ],
)
def test_ulimits_refused(limit: Ulimit, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        build(host={"ulimits": (limit,)})


def test_security_options() -> None:
    spec = build(host={"security_opt": ("no-new-privileges", "seccomp=unconfined", "systempaths=unconfined")})
    assert spec["process"]["noNewPrivileges"] is True
    assert "seccomp" not in spec["linux"]
    assert "maskedPaths" not in spec["linux"]
    own = build(host={"security_opt": ('seccomp={"defaultAction":"SCMP_ACT_LOG"}',), "privileged": True})
    assert own["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_LOG"
    with pytest.raises(InvalidParameter, match='invalid --security-opt 2: "fun"'):
        build(host={"security_opt": ("fun",)})
    with pytest.raises(InvalidParameter, match="decoding seccomp profile failed"):
        build(host={"security_opt": ("seccomp={}",)})


def test_init() -> None:
    with pytest.raises(System, match="apt install tini"):
        build(host={"init": True})
    spec = build(host={"init": True}, machine=msgspec.structs.replace(MACHINE, init="/usr/bin/tini-static"))
    assert spec["process"]["args"] == ["/sbin/docker-init", "--", "sh"]
    assert mount(spec, "/sbin/docker-init") == {
        "destination": "/sbin/docker-init",
        "type": "bind",
        "source": "/usr/bin/tini-static",
        "options": ["bind", "ro"],
    }


def test_devices() -> None:
    node = devices.Node(path="/dev/net/tun", kind="c", major=10, minor=200, access="rw")
    spec = build(nodes=(node,), host={"device_cgroup_rules": ("b 8:* r",)})
    assert spec["linux"]["devices"][0]["path"] == "/dev/net/tun"
    rules = spec["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert {"allow": True, "type": "c", "access": "rw", "major": 10, "minor": 200} in rules
    assert rules[-1] == {"allow": True, "type": "b", "access": "r", "major": 8}
    with pytest.raises(InvalidParameter, match="invalid device cgroup rule format"):
        build(host={"device_cgroup_rules": ("x 1:1 r",)})


def test_requested_devices() -> None:
    (null,) = devices.requested((Device(path_on_host="/dev/null", path_in_container="/dev/nil"),))
    assert (null.path, null.kind, null.major, null.minor, null.access) == ("/dev/nil", "c", 1, 3, "rwm")
    with pytest.raises(
        InvalidParameter, match="error gathering device information while adding custom device"
    ):
        devices.requested((Device(path_on_host="/dev/nosuch"),))
    with pytest.raises(InvalidParameter, match="not a device node"):
        devices.requested((Device(path_on_host="/etc/passwd"),))


@pytest.mark.parametrize(
    ("request_", "own_home", "expected"),
    [
        (ExecRequest(argv=("x",)), True, ["A=1", "HOME=/own"]),
        (ExecRequest(argv=("x",), env=("A=2", "B=3")), True, ["A=2", "HOME=/own", "B=3"]),
        (ExecRequest(argv=("x",), tty=True), True, ["A=1", "HOME=/own", "TERM=xterm"]),
        (ExecRequest(argv=("x",)), False, ["A=1", "HOME=/u"]),
    ],
)
def test_exec_environment(request_: ExecRequest, own_home: bool, expected: list[str]) -> None:
    container = build(config={"env": ("A=1", "HOME=/own", "PATH", "HOSTNAME")})["process"]
    spec = process.for_exec(container, request_, User(home="/u"), own_home, MACHINE.capabilities)
    assert spec["env"] == expected


def test_exec_keeps_what_confines_the_container() -> None:
    container = build(host={"cap_drop": ("ALL",), "security_opt": ("no-new-privileges",)})["process"]
    spec = process.for_exec(container, ExecRequest(argv=("x",)), ROOT, True, MACHINE.capabilities)
    assert spec["capabilities"]["bounding"] == []
    assert spec["noNewPrivileges"] is True
    more = process.for_exec(
        container,
        ExecRequest(argv=("x",), privileged=True, working_dir="/w", tty=True, console_size=(3, 4)),
        ROOT,
        True,
        MACHINE.capabilities,
    )
    assert more["capabilities"]["bounding"] == list(MACHINE.capabilities)
    assert more["cwd"] == "/w"
    assert more["consoleSize"] == {"height": 3, "width": 4}
