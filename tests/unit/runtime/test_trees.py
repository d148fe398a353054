"""Trees of any depth: what Python's own functions give up on."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.runtime import trees
from fairway.runtime.images import stack

DEPTH = 3_000
"""More levels than Python's stack takes, and than a path can name."""


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """``d/d/d/…`` with a file of one byte at the end."""
    top = tmp_path / "top"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    file = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
    os.write(file, b"x")
    os.close(file)
    os.close(descriptor)
    yield top
    if top.exists():
        trees.remove(str(top))


def test_a_deep_tree_is_walked_with_few_descriptors(deep: Path) -> None:
    before, most, depths = len(os.listdir("/proc/self/fd")), 0, []
    for entry in trees.walk(str(deep)):
        depths.append(entry.depth)
        if entry.depth % 100 == 0:
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
    assert depths == list(range(DEPTH + 1))
    assert most < 70
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_deep_tree_is_measured_and_compared(deep: Path) -> None:
    assert stack.size(str(deep)) == 1
    found = stack.changes(str(deep), ())
    assert len(found) == DEPTH + 1
    assert found[0] == ("/d", stack.ADDED)


def test_a_deep_tree_is_removed(deep: Path) -> None:
    trees.remove(str(deep))
    assert list(deep.parent.iterdir()) == []


def test_removing_takes_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    top = tmp_path / "top"
    for name in ("0/1/2", "1/0/x", "a/b/c", "a/0"):  # numbers, as removing itself uses them
        (top / name).mkdir(parents=True)
    (top / "a" / "file").write_text("x")
    (top / "a" / "link").symlink_to(outside)
    (top / "link").symlink_to(outside)
    trees.remove(str(top))
    assert not top.exists()
    assert (outside / "kept").read_text() == "kept"
    with pytest.raises(FileNotFoundError):
        trees.remove(str(top))
    with pytest.raises(OSError, match="Not a directory"):
        (tmp_path / "way").symlink_to(outside)
        trees.remove(str(tmp_path / "way"))


def test_walking_is_in_order_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("")
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "c").write_text("")
    found = [(entry.depth, entry.name) for entry in trees.walk(str(tmp_path))]
    assert found == [(0, "a"), (0, "b"), (1, "x"), (0, "c")]


def test_what_vanishes_on_the_way_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name / "x").mkdir(parents=True)
    found = []
    for entry in trees.walk(str(tmp_path)):
        found.append(entry.name)
        if entry.name == "a":
            os.rename(tmp_path / "a", tmp_path / "gone")
            (tmp_path / "a").symlink_to("c")
            trees.remove(str(tmp_path / "b"))
    assert found == ["a", "c", "x"]


def test_directories_are_made_to_any_depth(tmp_path: Path) -> None:
    deep = f"{tmp_path}/{'d/' * 1500}d"
    trees.make_directories(deep)
    assert os.path.isdir(deep)
    trees.make_directories(deep)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        trees.make_directories(f"{tmp_path}/file/below")
    trees.remove(f"{tmp_path}/d")
