"""The transcripts, each with the stock docker CLI and with fairway, on a host of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon_host import Host, running_host
from scenarios.replay import Replay, configured

pytestmark = pytest.mark.root
SCENARIOS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "scenarios.yaml").read_text())
FIXTURES = next(s for s in SCENARIOS if s["id"] == "S00")
TOOLS = ("brctl", "ethtool", "ifconfig", "curl")


@pytest.fixture(scope="module", params=["docker", "fairway"])
def client(request: pytest.FixtureRequest) -> str:
    """The client under test."""
    missing = [t for t in (*TOOLS, request.param) if not shutil.which(t)]
    if request.param in missing and request.param == "docker":
        pytest.skip("the docker CLI is not installed (Debian: apt-get install docker.io or docker-cli)")
    missing = [t for t in missing if t != "fairway"]
    assert not missing, f"install {', '.join(missing)}: make install does"
    return str(request.param)


@pytest.fixture(scope="module")
def fixtures(client: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with the images that the transcripts name (S00)."""
    with running_host(tmp_path_factory.mktemp(f"host-{client}")) as host:
        Replay(host, client).scenario(FIXTURES)
        yield host


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s is not FIXTURES], ids=lambda s: str(s["id"]))
def test_scenario(fixtures: Host, client: str, scenario: dict[str, Any]) -> None:
    links = fixtures.links()
    with configured(fixtures, scenario):
        Replay(fixtures, client).scenario(scenario)
    fixtures.ok("docker ps -aq | xargs -r docker rm -f; docker network prune -f")
    assert fixtures.links() == links
