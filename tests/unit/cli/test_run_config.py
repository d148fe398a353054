"""Options of ``run`` as the API's body."""

from pathlib import Path
from typing import Any

import pytest

from fairway.cli.flags import Parser, UsageError
from fairway.cli.run_config import create_body
from fairway.cli.run_options import shared_flags
from fairway.model.errors import InvalidParameter


def body(*argv: str, detached: bool = False) -> dict[str, Any]:
    options, args = Parser(shared_flags(""), False, lambda _text: None).parse([*argv, "img", "cmd", "-x"])
    return create_body(options, args[0], args[1:], detached)


def test_the_least() -> None:
    assert body(detached=True) == {
        "Image": "img",
        "Cmd": ["cmd", "-x"],
        "HostConfig": {
            "NetworkMode": "default",
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "ConsoleSize": [0, 0],
            "MemorySwappiness": -1,
        },
        "NetworkingConfig": {"EndpointsConfig": {"default": {}}},
    }


@pytest.mark.parametrize(
    ("argv", "streams"),
    [
        ([], {"AttachStdout", "AttachStderr"}),
        (["-i"], {"AttachStdin", "AttachStdout", "AttachStderr", "OpenStdin", "StdinOnce"}),
        (["-a", "STDOUT"], {"AttachStdout"}),
        (["-i", "-a", "stdout"], {"AttachStdout", "OpenStdin"}),
    ],
)
def test_streams(argv: list[str], streams: set[str]) -> None:
    assert {key for key, value in body(*argv).items() if value is True} == streams


def test_nought_and_no_are_sent() -> None:
    made = body("--stop-timeout", "0", "--init=false")
    assert made["StopTimeout"] == 0
    assert made["HostConfig"]["Init"] is False


def test_networks() -> None:
    made = body(
        "--net",
        "name=web,alias=a,alias=b,driver-opt=k=v,gw-priority=-1",
        "--network",
        "app",
        "--ip6",
        "fd00::1",
    )
    assert made["HostConfig"]["NetworkMode"] == "web"
    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "web": {
            "IPAMConfig": {"IPv6Address": "fd00::1"},
            "Aliases": ["a", "b"],
            "DriverOpts": {"k": "v"},
            "GwPriority": -1,
        },
        "app": {},
    }


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "1")
    monkeypatch.delenv("OTHER", raising=False)
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1 2\n  MINE\nOTHER\n")
    assert body("--env-file", str(file), "-e", "A=3", "-e", "OTHER")["Env"] == ["A=1 2", "MINE=1", "A=3"]
    file.write_text("A B=1")
    with pytest.raises(InvalidParameter, match="variable 'A B' contains whitespaces"):
        body("--env-file", str(file))


def test_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("a=1\nb\n")
    assert body("--label-file", str(file), "-l", "a=2")["Labels"] == {"a": "2", "b": ""}


def test_mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = body(
        "--mount", "type=bind,src=./x,dst=/y,bind-recursive=disabled,ro", "-v", "./z:/w:ro", "-v", "/anon"
    )
    assert made["HostConfig"]["Mounts"] == [
        {
            "Type": "bind",
            "Source": f"{tmp_path}/x",
            "Target": "/y",
            "BindOptions": {"NonRecursive": True},
            "ReadOnly": True,
        }
    ]
    assert made["HostConfig"]["Binds"] == [f"{tmp_path}/z:/w:ro"]
    assert made["Volumes"] == {"/anon": {}}


def test_volume_options_of_a_mount() -> None:
    text = 'type=volume,src=v,dst=/v,volume-driver=d,"volume-opt=o=a,b",volume-label=l=1,volume-subpath=s'
    assert body("--mount", text)["HostConfig"]["Mounts"][0]["VolumeOptions"] == {
        "DriverConfig": {"Name": "d", "Options": {"o": "a,b"}},
        "Labels": {"l": "1"},
        "Subpath": "s",
    }


def test_a_seccomp_profile_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text('{ "a": [1, 2] }')
    assert body("--security-opt", f"seccomp={file}")["HostConfig"]["SecurityOpt"] == ['seccomp={"a":[1,2]}']


def test_unconfined_paths_are_sent_as_empty_lists() -> None:
    host = body("--security-opt", "systempaths=unconfined")["HostConfig"]
    assert (list(host["MaskedPaths"]), list(host["ReadonlyPaths"])) == ([], [])
    assert "SecurityOpt" not in host


@pytest.mark.parametrize(
    ("argv", "health"),
    [
        (["--no-healthcheck"], {"Test": ["NONE"]}),
        (["--health-cmd", "x y", "--health-retries", "2"], {"Test": ["CMD-SHELL", "x y"], "Retries": 2}),
        (["--health-interval", "1m"], {"Interval": 60_000_000_000}),
    ],
)
def test_health(argv: list[str], health: dict[str, Any]) -> None:
    assert body(*argv)["Healthcheck"] == health


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--rm", "--restart", "always"], "conflicting options: cannot specify both --restart and --rm"),
        (["--restart", "a:b"], "maximum retry count must be an integer"),
        (["--net", "web", "--net", "host"], "cannot attach both user-defined and non-user-defined"),
        (["--net", "web", "--net", "web"], 'network "web" is specified multiple times'),
        (
            ["--net", "bridge", "--network-alias", "x"],
            "network-scoped aliases are only supported for user-defined",
        ),
        (
            ["--net", "name=web,ip=1.2.3.4", "--ip", "1.2.3.5"],
            "cannot specify both --ip and per-network IPv4 address",
        ),
        (["--mac-address", "zz"], "zz is not a valid mac address"),
        (["--pid", "x"], "--pid: invalid PID mode"),
        (["--cgroupns", "x"], "--cgroupns: invalid CGROUP mode"),
        (["--device", "/a:b"], "b is not an absolute path"),
        (["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"),
        (["--health-interval=-1s"], "--health-interval cannot be negative"),
        (["--memory-swappiness", "101"], "Valid memory swappiness range is 0-100"),
        (["-v", ":/x"], "empty section between colons"),
        (["--env-file", "/nonexistent"], "open /nonexistent: no such file or directory"),
    ],
)
def test_refused(argv: list[str], problem: str) -> None:
    with pytest.raises(InvalidParameter, match=problem):
        body(*argv)


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--mount", "type=bind,src=/a"], "target is required"),
        (["--mount", "dst=/a,tmpfs-size=1"], "cannot mix 'tmpfs-\\*' options with mount type 'volume'"),
        (["--mount", "dst=/a, src=b"], "option should not have whitespace"),
        (["--network", "alias=x"], "network name/id is not specified"),
        (["--network", "name=a,foo=b"], "invalid field key foo"),
        (["--ulimit", "nofile=5:3"], "soft limit must be less than or equal to hard limit: 5 > 3"),
        (["--add-host", "a:b"], 'invalid IP address in add-host: "b"'),
        (["-a", "foo"], "valid streams are STDIN, STDOUT and STDERR"),
        (["--gpus", "x"], r"invalid count \(x\)"),
    ],
)
def test_wrong_values(argv: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        body(*argv)
