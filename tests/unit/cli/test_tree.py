"""The command tree: everything in it can be loaded, and nothing slow is loaded with it."""

import subprocess
import sys

import pytest

from fairway.cli.main import main
from fairway.cli.tree import GROUPS, SHORT, Leaf, spellings

LEAVES = {f"{name} {leaf}": found for name, group in GROUPS.items() for leaf, found in group.leaves.items()}
LEAVES |= {name: leaf for name, leaf in SHORT.items() if not name.startswith("__")}


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_every_command_explains_itself(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage:  fairway {path}")
    assert LEAVES[path].load().about in text


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_options_are_spelt_once(path: str) -> None:
    flags = LEAVES[path].load().flags
    names = [flag.name for flag in flags] + [flag.short for flag in flags if flag.short]
    assert len(names) == len(set(names))
    assert all(flag.text for flag in flags if not flag.hidden)


def test_spellings() -> None:
    assert spellings("fairway", SHORT["ps"]) == [
        "fairway container ls",
        "fairway container list",
        "fairway container ps",
        "fairway ps",
    ]
    assert spellings("fairway", Leaf("network.CREATE", "x")) == []


def test_root(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "  run         Create and run a new container from an image\n" in text
    assert "__complete" not in text
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("Fairway version ")


def test_a_listing_imports_nothing_slow() -> None:
    script = (
        "import sys; from fairway.cli.main import main; main(['-H', 'unix:///nonexistent', 'network', 'ls']);"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "fairway.cli.network_ls" in loaded
    slow = {
        "asyncio",
        "argparse",
        "aiohttp",
        "http.client",
        "email",
        "msgspec",
        "dataclasses",
        "pathlib",
        "ssl",
    }
    assert loaded & slow == set()
    assert not any(name.startswith("fairway.cli.container") for name in loaded)
