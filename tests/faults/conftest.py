"""One host for all: bringing it up takes longer than most cases."""

from collections.abc import Iterator

import pytest

from faults.rig import Rig
from faults.rig import rig as running


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with running(tmp_path_factory.mktemp("faults")) as made:
        yield made
