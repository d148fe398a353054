"""dockerd's rules for options, on the command line and in the file."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from fairway.daemon import config, flags, logging
from fairway.daemon.main import main
from fairway.ipam.subnets import DEFAULT_POOLS
from fairway.model.errors import InvalidParameter


def read(tmp_path: Path, document: Any, *words: str) -> config.Config:
    path = tmp_path / "daemon.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return config.read([f"--config-file={path}", *words])


def refusal(tmp_path: Path, document: Any, *words: str) -> str:
    with pytest.raises(InvalidParameter) as caught:
        read(tmp_path, document, *words)
    return caught.value.message.replace(str(tmp_path), "")


def test_defaults(tmp_path: Path) -> None:
    made = read(tmp_path, "")
    assert made.hosts == ("unix:///run/fairway/fairway.sock",)
    assert (made.data_root, made.exec_root, made.mtu) == ("/var/lib/fairway", "/run/fairway", 1500)
    assert made.address_pools == DEFAULT_POOLS


def test_flags_in_all_spellings(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        {},
        "-H",
        "unix:///a",
        "-Hunix:///b",
        "--host=tcp://127.0.0.1:1",
        "-Dl",
        "warn",
        "--label",
        "a=b",
    )
    assert made.hosts == ("unix:///a", "unix:///b", "tcp://127.0.0.1:1")
    assert (made.debug, made.log_level, made.labels) == (True, "warn", ("a=b",))
    assert read(tmp_path, {}, "--debug=false").debug is False


def test_the_file(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        {
            "hosts": ["unix:///x"],
            "labels": ["a=b"],
            "dns": ["10.0.0.1"],
            "dns-opts": ["ndots:2"],
            "mtu": 1400,
            "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
            "live-restore": False,
            "debug": None,
        },
    )
    assert (made.hosts, made.labels, made.dns_options) == (("unix:///x",), ("a=b",), ("ndots:2",))
    assert (made.address_pools[0].base, made.address_pools[0].size) == ("10.10.0.0/16", 24)
    assert made.notes == ("--live-restore: always on: containers outlive the daemon whatever the value",)


@pytest.mark.parametrize(
    ("document", "words", "text"),
    [
        (
            {"foo": 1, "bar": 2},
            [],
            "the following directives don't match any configuration option: bar, foo",
        ),
        (
            {"mtu": 1400},
            ["--mtu=1500"],
            "the following directives are specified both as a flag and in the configuration file: "
            "mtu: (from flag: 1500, from file: 1400)",
        ),
        (
            {"labels": ["c=d"], "debug": True},
            ["--label", "a=b", "-D"],
            "the following directives are specified both as a flag and in the configuration file: "
            "debug: (from flag: true, from file: true), labels: (from flag: [a=b], from file: [c=d])",
        ),
        ('{"mtu": 1400,}', [], "invalid character '}' looking for beginning of object key string"),
        ("[" * 100_000, [], "exceeded max depth"),
        ("[1]", [], "json: cannot unmarshal value into Go value of type map[string]interface {}"),
        ({"debug": "yes"}, [], "json: cannot unmarshal into Go struct field Config.debug of type bool"),
        ({"mtu": True}, [], "json: cannot unmarshal into Go struct field Config.mtu of type int"),
        ({"dns": [1]}, [], "json: cannot unmarshal into Go struct field Config.dns of type []string"),
        ({"default-address-pools": [{}]}, [], "invalid default address pool: base and size are needed"),
        (
            {"config-file": "x"},
            [],
            "the following directives don't match any configuration option: config-file",
        ),
    ],
)
def test_what_is_wrong_with_the_file(tmp_path: Path, document: Any, words: list[str], text: str) -> None:
    expected = f"unable to configure the Docker daemon with file /daemon.json: {text}"
    assert refusal(tmp_path, document, *words) == expected


def test_a_file_that_was_named_must_exist() -> None:
    with pytest.raises(InvalidParameter) as caught:
        config.read(["--config-file", "/nonexistent/daemon.json"])
    assert caught.value.message.endswith("open /nonexistent/daemon.json: no such file or directory")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--nonsense"], "unknown flag: --nonsense"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["--mtu"], "flag needs an argument: --mtu"),
        (["-l"], "flag needs an argument: 'l' in -l"),
        (["--mtu=x"], 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--debug=x"],
            'invalid argument "x" for "--debug" flag: strconv.ParseBool: parsing "x": invalid syntax',
        ),
        (["word"], "\"fairwayd\" accepts no arguments.\nSee 'fairwayd --help'."),
        (
            ["--raw-logs", "--rootless"],
            "--raw-logs: the log is never coloured\n--rootless: the daemon needs root",
        ),
        (["--log-level=loud"], "invalid logging level: loud"),
        (["--label=x"], "bad attribute format: x"),
        (["--dns=x"], "invalid DNS address: 'x' is not an IP address"),
        (["--default-runtime=kata"], "specified default runtime 'kata' does not exist"),
        (["--default-address-pool=base=10.0.0.0/16"], "use base=…,size=…"),
        (["--default-address-pool=base=10.0.0.0/8,size=" + "9" * 5000], "use base=…,size=…"),
        (["--insecure-registry=10.0.0.0/99"], "insecure registry 10.0.0.0/99 is not valid"),
        (["--insecure-registry=http://x"], "insecure registry http://x is not valid"),
        (["--default-address-pool=base=x,size=24"], "invalid base pool 'x': invalid CIDR address: x"),
        (["--default-address-pool=base=10.0.0.0/16,size=8"], "cannot be cut into subnets of size 8"),
        (["-H", "tcp://0.0.0.0:2375"], "use a loopback address or --tlsverify"),
        (["-H", "ssh://x"], "Invalid bind address format: ssh://x"),
        (["--tls"], "TLS needs --tlscert and --tlskey"),
        (["--tlsverify", "--tlscert=a", "--tlskey=b"], "--tlsverify needs --tlscacert"),
        (["--mtu=20"], "invalid default MTU: 20"),
    ],
)
def test_refused_command_lines(tmp_path: Path, words: list[str], text: str) -> None:
    assert text in refusal(tmp_path, {}, *words)


def test_loopback_needs_no_tls(tmp_path: Path) -> None:
    hosts = ("tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1")
    assert read(tmp_path, {"hosts": list(hosts)}).hosts == hosts


@pytest.mark.parametrize(
    "flag", [each for each in flags.FLAGS if each.standing == "refused"], ids=lambda f: f.name
)
def test_every_refused_option_is_refused(tmp_path: Path, flag: flags.Flag) -> None:
    word = f"--{flag.name}" if flag.kind == "bool" else f"--{flag.name}=1"
    assert refusal(tmp_path, {}, word) == f"--{flag.name}: {flag.help}"


def test_names_and_keys_are_unique() -> None:
    assert len(flags.BY_NAME) == len(flags.FLAGS)
    assert len(flags.BY_KEY) == sum(len(flag.file_keys) for flag in flags.FLAGS)


def test_every_supported_option_reaches_the_configuration() -> None:
    handled_before = {"help", "validate", "version"}
    for flag in flags.FLAGS:
        if flag.standing == "supported" and flag.name not in handled_before:
            assert config.field_of(flag) in config.Config.__struct_fields__


def test_the_documentation_is_generated_from_the_table() -> None:
    path = Path(__file__).parents[3] / "docs" / "daemon-options.md"
    assert path.read_text() == flags.page(), "write fairway.daemon.flags.page() to docs/daemon-options.md"


def test_the_program(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "Fairway version 0.1.0\n"
    assert main(["--validate"]) == 0
    assert capsys.readouterr().out == "configuration OK\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "--default-address-pool list" in shown
    for line in shown.partition("Options:\n")[2].splitlines():
        assert re.fullmatch(r" {2}(-\w, | {4})--[a-z0-9-]+( \w+)? {3,}\S.*", line), line
    assert main(["--nonsense"]) == 1
    assert capsys.readouterr().err == "unknown flag: --nonsense\n"


def test_a_second_daemon_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(logging, "set_up", lambda level: None)  # it is for the whole process
    pidfile, file = tmp_path / "pid", tmp_path / "daemon.json"
    pidfile.write_text(str(os.getppid()))
    file.write_text("{}")
    assert main([f"--pidfile={pidfile}", f"--config-file={file}"]) == 1
    assert capsys.readouterr().err == (
        f"failed to start daemon, ensure fairwayd is not running or delete {pidfile}: "
        f"process with PID {os.getppid()} is still running\n"
    )
