"""``fairway rules``: iptables' command lines are taken over as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.canned_engine import CannedEngine, Raw
from fairway.cli.main import main

RULE: dict[str, Any] = {
    "Kind": "container",
    "ID": "c" * 64,
    "Name": "web",
    "Rule": "published",
    "From": "0.0.0.0:8080/tcp",
    "To": "172.17.0.2:80",
    "Verdict": "dnat",
    "Packets": 2,
    "Bytes": 120,
}
HELD = RULE | {"Rule": "held", "From": "*:8080/tcp", "Verdict": "proxy", "Packets": None, "Bytes": None}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[CannedEngine]:
    routes = {
        ("GET", "/fairway/rules"): [RULE, HELD],
        ("GET", "/fairway/rules/nft"): Raw(b"table inet fairway {\n}\n"),
        ("GET", "/fairway/rules/iptables"): Raw(b"Chain FORWARD\n"),
        ("GET", "/fairway/rules/ip6tables"): Raw(b"Chain FORWARD\n"),
    }
    with CannedEngine(tmp_path / "sock", routes) as serving:
        yield serving


def run(engine: CannedEngine, words: str) -> int:
    return main(["-H", engine.host, "rules", *words.split()])


def test_the_table(engine: CannedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "web") == 0
    assert capsys.readouterr().out == (
        "KIND        NAME      RULE        FROM               TO              VERDICT   PACKETS   BYTES\n"
        "container   web       published   0.0.0.0:8080/tcp   172.17.0.2:80   dnat      2         120\n"
        "container   web       held        *:8080/tcp         172.17.0.2:80   proxy     -         -\n"
    )
    assert engine.requests[-1].query == {"name": ["web"]}


def test_formats(engine: CannedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "--format {{.Rule}}:{{.Packets}}") == 0
    assert capsys.readouterr().out == "published:2\nheld:-\n"
    assert run(engine, "--format json") == 0
    assert '"Verdict":"dnat"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "program", "query"),
    [
        ("--as iptables", "iptables", {"form": ["list"]}),
        ("--as iptables -nL", "iptables", {"form": ["list"]}),
        ("--as iptables -t nat -nvL DOCKER", "iptables", {"form": ["list"], "verbose": ["1"]}),
        ("--as iptables -t nat -S POSTROUTING", "iptables", {"form": ["commands"]}),
        ("--as ip6tables -S", "ip6tables", {"form": ["commands"]}),
        ("--as iptables-save -t nat", "iptables", {"form": ["save"], "table": ["nat"]}),
    ],
)
def test_iptables_options(
    engine: CannedEngine,
    capsys: pytest.CaptureFixture[str],
    words: str,
    program: str,
    query: dict[str, list[str]],
) -> None:
    assert run(engine, words) == 0
    assert capsys.readouterr().out == "Chain FORWARD\n"
    (request,) = engine.requests
    assert request.path == f"/fairway/rules/{program}"
    assert query.items() <= request.query.items()
    if "DOCKER" in words or "POSTROUTING" in words:
        assert request.query["table"] == ["nat"]
        assert request.query["chain"] == [words.split()[-1]]


def test_nft(engine: CannedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(engine, "--as nft") == 0
    assert capsys.readouterr().out == "table inet fairway {\n}\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--as pf", "unknown notation 'pf'"),
        ("-t nat", "--table needs --as iptables"),
        ("--as nft -v", "--verbose needs --as iptables"),
        ("--as iptables --format json", "conflicting options: --as and --format"),
        ("--as iptables -S -L", "conflicting options: -L and -S"),
        ("--as nft web", "--as nft shows the whole table"),
        ("--as iptables-save DOCKER", "--as iptables-save shows whole tables"),
    ],
)
def test_refused(engine: CannedEngine, capsys: pytest.CaptureFixture[str], words: str, problem: str) -> None:
    assert run(engine, words) == 1
    assert problem in capsys.readouterr().err
    assert not engine.requests
