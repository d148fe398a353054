"""Measuring what a container has written."""

from pathlib import Path

from fairway.runtime.images import stack


def test_size_counts_regular_files(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_text("1234")
    (tmp_path / "file").write_text("123")
    (tmp_path / "link").symlink_to("file")
    assert stack.size(str(tmp_path)) == 7


def test_a_tree_that_is_gone_has_no_size(tmp_path: Path) -> None:
    assert stack.size(str(tmp_path / "removed")) == 0
