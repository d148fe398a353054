"""The daemon dies at a boundary of an operation; after its next start nothing is lost and nothing is left."""

import pytest

from faults.kills import Moment, kill, moments, record
from faults.operations import OPERATIONS
from faults.report import told
from faults.rig import Rig
from faults.schedule import ALL, Choice

pytestmark = [pytest.mark.root, pytest.mark.timeout(1200 if ALL else 120)]
_choice = Choice()


def _kind(moment: Moment) -> str:
    return f"{moment[0]} {moment[2]}"


@pytest.mark.parametrize(
    "name", OPERATIONS if ALL else ["start", "stop", "run and remove", "connect", "create"]
)
def test_killed(rig: Rig, name: str) -> None:
    operation = OPERATIONS[name]
    recording = record(rig, operation)
    every = list(moments(recording))
    result = kill(rig, operation, recording, _choice.of(every, _kind, 2))
    told("killed", name, len(every), result)
    assert not result.findings, "\n".join(result.findings)
    assert result.missed <= result.cases // 4 + 1, (
        "most kills did not happen: the labels vary from run to run"
    )
