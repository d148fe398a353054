"""The daemon's threads for blocking work."""

import threading

import pytest

from fairway.daemon.server import threads


def test_all_are_there_at_once() -> None:
    """Also when the host has none left afterwards."""
    with threads(3) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", None)
        assert len(pool._threads) == 3
        assert [pool.submit(int).result() for _ in range(9)] == [0] * 9
