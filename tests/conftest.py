"""Fixtures for tests on the real kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netns_host import NetnsHost, netns_host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[NetnsHost]:
    """A fresh network namespace as the host; tests that use it are marked ``root``."""
    with netns_host(tmp_path) as made:
        yield made
