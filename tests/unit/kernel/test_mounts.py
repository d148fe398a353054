"""Reading overlay mounts back from mountinfo, whatever is in their paths."""

from pathlib import Path

import pytest

from fairway.kernel import mounts
from fairway.plan import Overlay

LINE = "36 35 0:50 / {target} rw,relatime shared:1 - {kind} overlay rw,{options}\n"


def mountinfo(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _, errors: "".join(lines))


def test_overlays_below_the_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    options = "lowerdir=/l/1:/l/2,upperdir=/u,workdir=/w,uuid=on"
    mountinfo(
        monkeypatch,
        LINE.format(target="/data/a/merged", kind="overlay", options=options),
        LINE.format(target="/database", kind="overlay", options=options),
        LINE.format(target="/data/b", kind="ext4", options="errors=panic"),
    )
    found = list(mounts.overlays(("/data/",)))
    assert found == [Overlay("/data/a/merged", ("/l/1", "/l/2"), "/u", "/w")]


def test_layers_given_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    options = "lowerdir+=/l/1,lowerdir+=/l/2,upperdir=/u,workdir=/w"
    mountinfo(monkeypatch, LINE.format(target="/data/a", kind="overlay", options=options))
    assert [o.lower for o in mounts.overlays(("/data",))] == [("/l/1", "/l/2")]


def test_escaped_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    options = r"lowerdir=/l\134:1:/l\1342,upperdir=/u\134,v,workdir=/w"
    mountinfo(monkeypatch, LINE.format(target=r"/data/a\040b", kind="overlay", options=options))
    (found,) = mounts.overlays(("/data",))
    assert found == Overlay("/data/a b", ("/l:1", "/l2"), "/u,v", "/w")
