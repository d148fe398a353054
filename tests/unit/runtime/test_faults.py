"""What the runtimes say → what Docker says, and the stock CLI understands."""

from pathlib import Path

import pytest

from fairway.model.errors import Fault, InvalidParameter, System
from fairway.runtime import faults

CREATE = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: error during container init: "
)


@pytest.mark.parametrize(
    ("message", "cause", "kind"),
    [
        (
            "executable file `nosuch` not found in $PATH: No such file or directory",
            'exec: "nosuch": executable file not found in $PATH',
            InvalidParameter,
        ),
        (
            'unable to start container process: exec: "nosuch": executable file not found in $PATH',
            'exec: "nosuch": executable file not found in $PATH',
            InvalidParameter,
        ),
        (
            "executable file `/bin/x` not found in $PATH: No such file or directory",
            'exec: "/bin/x": stat /bin/x: no such file or directory',
            InvalidParameter,
        ),
        ("open executable: Permission denied", 'exec: "cmd": permission denied', InvalidParameter),
        ("open executable: Operation not permitted", 'exec: "cmd": permission denied', InvalidParameter),
        (
            "chdir `/x`: No such file or directory",
            'chdir to cwd ("/x") set in config.json failed: no such file or directory',
            InvalidParameter,
        ),
        (
            "mount `/x` to `/y`: No such file or directory",
            "mount `/x` to `/y`: no such file or directory",
            InvalidParameter,
        ),
        ("write to `pids.max`: Device busy", "write to `pids.max`: Device busy", System),
    ],
)
def test_creating(message: str, cause: str, kind: type[Fault]) -> None:
    fault = faults.creating(message, ["cmd"])
    assert type(fault) is kind
    assert fault.message == f"{CREATE}{cause}: unknown"


def test_executing() -> None:
    said = 'exec failed: unable to start container process: exec: "x": executable file not found in $PATH'
    assert faults.executing(said, ["x"]).message == f"OCI runtime exec failed: {said}: unknown"


def test_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert faults.logged(log) == ""
    log.write_text(
        '{"msg":"first","level":"error"}\n{"msg":"last","level":"error"}\n{"msg":"x","level":"warning"}\n'
    )
    assert faults.logged(log) == "last"
    log.write_text("plain words\n")
    assert faults.logged(log) == "plain words"
    log.write_bytes(b'{"msg":"last","level":"error"}\n\x1b[1;31mfrom its terminal\x1b[0m\r\n\n')
    assert faults.logged(log) == "last"
