"""The whole API of a real daemon, as its specification describes it, with objects that exist."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import pytest
import requests
from docker.errors import APIError

from daemon_host import Host, running_host
from fuzz import specification
from fuzz.requests_to_api import Request
from fuzz.requests_to_api import requests as generated
from fuzz.running import fuzz
from scenarios.test_two_hundred import everything

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not specification.DOCUMENT.exists(),
        reason=f"{specification.DOCUMENT}, Docker's published specification, is not there",
    ),
]
STREAMS = ("/attach", "/ws", "/logs", "/events", "/wait", "/stats", "/start", "/export", "/get")
"""Ends of paths whose answers may go on for ever: the beginning, which comes at once, is enough."""
PATIENCE = 20
"""Seconds until an answer that does not come is one that hangs."""
FAILURES = (
    "Conflict, cannot remove the default link name of the container",
    "ps: ",  # what ps(1) says to its arguments
    "This node is not part of a swarm",
    "File name too long",  # of files that lie deeper than a path can say
)
"""Texts of the 500s and 503s that Docker's daemon gives, too."""
DEEP = "for i in $(seq 2500); do mkdir d && cd d || break; done; exec sleep 600"
"""More levels of directories than Python's stack takes."""


class World:
    """Objects for the requests to find, made anew when a request has removed them."""

    def __init__(self, host: Host) -> None:
        self.client = docker.APIClient(base_url=f"unix://{host.reachable_socket}", timeout=PATIENCE)
        self.host = host
        self.known: dict[str, list[str]] = {
            kind: [] for kind in ("container", "network", "image", "volume", "exec")
        }
        self.ready()

    def ready(self) -> None:
        client, host = self.client, {"NetworkMode": "fuzz-net"}
        if not client.images("busybox"):
            self.host.load_busybox()
        for make in (
            lambda: client.create_network("fuzz-net"),
            lambda: client.create_volume("fuzz-vol"),
            lambda: self._container("fuzz-a", ["sleep", "600"], host | {"Binds": ["fuzz-vol:/v"]}),
            lambda: self._container("fuzz-b", ["sh", "-c", DEEP], host),
            lambda: client.start("fuzz-a"),
            lambda: client.start("fuzz-b"),
        ):
            with suppress(APIError):  # it is there
                make()
        self._look()

    def _container(self, name: str, command: list[str], host: dict[str, Any]) -> None:
        body = {"Image": "busybox", "Cmd": command, "StopSignal": "SIGKILL", "HostConfig": host}
        client = self.client
        client._result(client._post_json(client._url("/containers/create"), data=body, params={"name": name}))

    def _look(self) -> None:
        client = self.client
        containers = client.containers(all=True)
        known, ids = self.known, [each["Id"][:12] for each in containers[:4]]
        known["container"][:] = ["fuzz-a", "fuzz-a", "fuzz-b", "fuzz-b", *ids]
        known["network"][:] = ["fuzz-net", "bridge", "host", *(n["Id"] for n in client.networks()[:4])]
        known["image"][:] = ["busybox", "busybox:latest", *(i["Id"] for i in client.images()[:3])]
        known["volume"][:] = ["fuzz-vol", *(v["Name"] for v in client.volumes()["Volumes"][:3])]
        with suppress(APIError):
            self.known["exec"][:] = [client.exec_create("fuzz-a", "true")["Id"]]

    def clear(self) -> None:
        client = self.client
        for container in client.containers(all=True):
            client.remove_container(container["Id"], force=True, v=True)
        for network in client.networks():
            if network["Name"] not in ("bridge", "host", "none"):
                client.remove_network(network["Id"])
        for volume in client.volumes()["Volumes"] or ():
            client.remove_volume(volume["Name"])
        for image in client.images(all=True):
            client.remove_image(image["Id"], force=True)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path, image=False) as running:
        yield running


def test_no_request_breaks_the_daemon(host: Host) -> None:
    world = World(host)
    world.clear()  # the layer that all containers share stays
    host.settle()
    before = everything(host)
    world.ready()
    asked = 0

    def check(request: Request) -> None:
        nonlocal asked
        asked += 1
        if not asked % 20:
            world.ready()
        status, text = send(world, request)
        told = any(each in text for each in FAILURES)
        assert status < 500 or status == 501 or told, f"{request}\n{status} {text}\n{host.log()[-3000:]}"

    files = host.directory / "binds"
    files.mkdir()
    fuzz(check, generated(str(files)), 120, shrink=False)
    world.clear()
    world.client.close()
    host.settle()
    after = everything(host)
    for kind, things in before.items():
        assert set(after[kind]) == set(things), kind


def send(world: World, request: Request) -> tuple[int, str]:
    client = world.client
    url = f"{client.base_url}/v1.51{quote(request.resolved(world.known), safe='/%')}"
    stream = request.path.endswith(STREAMS)
    with suppress(requests.exceptions.InvalidHeader):
        answer = client.request(
            request.method,
            url,
            params=request.query,
            headers=request.headers,
            json=request.body,
            stream=stream,
            timeout=PATIENCE,
        )
        with answer:
            return answer.status_code, "" if stream and answer.ok else answer.text
    return 0, ""
