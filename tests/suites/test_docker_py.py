"""docker-py's own integration tests against a running daemon, with real Docker's results as baseline.

The driver lies beside the project (``../shared/suites``); its tests and its SDK come from PyPI.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host
from faults.auditor import audit_host

pytestmark = pytest.mark.root
SUITES = Path(__file__).resolve().parents[3] / "shared" / "suites"
DRIVER = SUITES / "run_docker_py_suite.sh"
NEED_SWARM = {
    "test_create_inspect_network_with_scope",
    "test_create_network_attachable",
    "test_create_network_ingress",
}
CONTAINERS = {
    "test_run_container_reading_socket_ws",  # the SDK opens no websocket through a unix socket
    "test_create_with_runtime",  # it asks where Docker does not look; the default is crun where that works
    "test_exec_run_failed",  # wants Docker's old 126 for a command that is not there; since 28 it is 127
    "test_run_with_image_that_does_not_exist",  # asks Docker Hub, which these hosts do not reach
    "test_top",  # these two depend on the host's ps, as the suite itself says
    "test_top_with_psargs",
}
PACKAGES = (
    "docker==7.2.0",
    "paramiko",
    "websocket-client",
    "packaging",
    "pytest==7.4.2",
    "pytest-timeout==2.1.0",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory with the SDK and the tests, fetched before the network is left behind."""
    if not DRIVER.exists():
        pytest.skip(f"{DRIVER} is not there: it comes with the project's shared files")
    work = tmp_path_factory.mktemp("suite")
    subprocess.run([sys.executable, "-m", "venv", str(work / "venv")], check=True)
    pip = [str(work / "venv/bin/pip"), "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *PACKAGES], check=True)
    source = ["--no-binary", "docker", "--no-deps", "-d", str(work / "sdist"), "docker==7.0.0"]
    subprocess.run([*pip, "download", *source], check=True)
    (work / "suite").mkdir()
    archive = work / "sdist/docker-7.0.0.tar.gz"
    unpack = ["tar", "-xzf", str(archive), "-C", str(work / "suite"), "--strip-components=1"]
    subprocess.run([*unpack, "--wildcards", "*/tests/*"], check=True)
    return work


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host"), image=False) as made:
        yield made


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("area", "allowed"),
    [
        ("networks", NEED_SWARM),
        ("containers", CONTAINERS),
        ("exec", set()),
        ("volumes", set()),
        ("client+events", set()),
        ("regressions", set()),
    ],
)
def test_area(prepared: Path, host: Host, area: str, allowed: set[str]) -> None:
    done = host.run(
        f"WORK={prepared} BASELINE={SUITES}/baseline.json RETRIES=1 bash {DRIVER} '{area}'", timeout=500
    )
    results = json.loads((prepared / "results.json").read_text())
    failed = {name.rpartition("::")[2] for name, status in results.items() if status != "passed"}
    assert failed <= allowed, done.stdout
    assert len(results) > len(failed), done.stdout


def test_nothing_is_left_by_it(host: Host) -> None:
    """The auditor looks by itself, with what the suite left running, and once that is removed."""
    assert audit_host(host) == []
    host.ok("docker ps -aq | xargs -r docker rm -f -v; docker network prune -f; docker volume prune -af", 120)
    assert audit_host(host) == []
