"""``fairway doctor``: what it prints, and how it ends."""

from pathlib import Path
from typing import Any

import pytest

from contract.canned_engine import CannedEngine
from fairway.cli.main import main

MISSING: dict[str, Any] = {
    "Kind": "network",
    "ID": "n" * 64,
    "Name": "web",
    "Text": "interface br-0 is missing",
    "Fixed": False,
}
LEFT: dict[str, Any] = {
    "Kind": "host",
    "ID": "",
    "Name": "",
    "Text": "interface veth0 is left over",
    "Fixed": False,
}


def run(
    tmp_path: Path, differences: list[dict[str, Any]], *words: str, problems: tuple[str, ...] = ()
) -> int:
    examination = {"Differences": differences, "Problems": list(problems)}
    routes = {
        ("GET", "/fairway/doctor"): examination,
        ("POST", "/fairway/doctor/fix"): examination,
        ("GET", "/info"): {"Warnings": ["WARNING: web: ufw drops it"]},
    }
    with CannedEngine(tmp_path / "sock", routes) as engine:
        return main(["-H", engine.host, "doctor", *words])


def test_nothing_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, []) == 0
    assert capsys.readouterr().out == (
        "note: web: ufw drops it\nnothing differs: this host is as the records say\n"
    )


def test_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [MISSING, LEFT]) == 1
    assert capsys.readouterr().out == (
        "network web: interface br-0 is missing\n"
        "host: interface veth0 is left over\n"
        "note: web: ufw drops it\n"
        "2 differences; to mend: fairway doctor --fix\n"
    )


def test_mending(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [MISSING | {"Fixed": True}], "--fix") == 0
    assert "mended: network web: interface br-0 is missing\n" in capsys.readouterr().out


def test_what_cannot_be_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [MISSING | {"Fixed": True}, LEFT], "--fix", problems=("cannot delete veth0",)) == 1
    output = capsys.readouterr()
    assert output.out.endswith("1 mended, 1 left\n")
    assert output.err == "cannot delete veth0\n"
