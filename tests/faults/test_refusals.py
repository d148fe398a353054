"""What the daemon does is refused; the operation fails with a clear error and everything is as before."""

import pytest

from faults.kills import record
from faults.operations import OPERATIONS
from faults.refusals import Case, cases, refuse
from faults.report import told
from faults.rig import Rig
from faults.schedule import ALL, Choice

pytestmark = [pytest.mark.root, pytest.mark.timeout(1800 if ALL else 120)]
_choice = Choice()


def _kind(case: Case) -> str:
    return f"{case.label} {case.again}"


@pytest.mark.parametrize("name", OPERATIONS if ALL else ["start", "disconnect", "create", "exec"])
def test_refused(rig: Rig, name: str) -> None:
    operation = OPERATIONS[name]
    recording = record(rig, operation)
    every = list(cases(recording, operation))[:: 4 if operation.others else 1]
    result = refuse(rig, operation, recording, _choice.of(every, _kind, 3))
    told("refused", name, len(every), result)
    assert not result.findings, "\n".join(result.findings)
    assert result.missed <= result.cases // 4 + 1, (
        "most faults did not happen: the labels vary from run to run"
    )
