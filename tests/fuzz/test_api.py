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
    pytest.mark.skipif(not specification.DOCUMENT.exists(), reason=f"{specification.DOCUMENT} is not there"),
]
STREAMS = ("/attach", "/logs", "/events", "/wait", "/stats", "/start", "/export", "/get")
"""Ends of paths that may go on for ever: the answer's beginning is enough."""
PATIENCE = 20
"""Seconds until an answer that does not come is one that hangs."""
FAILURES = ()


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
            lambda: self._container("fuzz-a", host | {"Binds": ["fuzz-vol:/v"]}),
            lambda: self._container("fuzz-b", host),
            lambda: client.start("fuzz-a"),
        ):
            with suppress(APIError):  # it is there
                make()
        self._look()

    def _container(self, name: str, host: dict[str, Any]) -> None:
        body = {"Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", "HostConfig": host}
        client = self.client
        client._result(client._post_json(client._url("/containers/create"), data=body, params={"name": name}))

    def _look(self) -> None:
        client = self.client
        containers = client.containers(all=True)
        self.known["container"][:] = ["fuzz-a", "fuzz-a", "fuzz-a", "fuzz-b"] + [
            c["Id"][:12] for c in containers[:4]
        ]
        self.known["network"][:] = ["fuzz-net", "bridge", "host"] + [n["Id"] for n in client.networks()[:4]]
        self.known["image"][:] = ["busybox", "busybox:latest"] + [i["Id"] for i in client.images()[:3]]
        self.known["volume"][:] = ["fuzz-vol"] + [v["Name"] for v in client.volumes()["Volumes"][:3]]
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
    before = everything(host)
    world = World(host)
    asked = 0

    def check(request: Request) -> None:
        nonlocal asked
        asked += 1
        if not asked % 20:
            world.ready()
        status, text = send(world, request)
        assert status < 500 or status == 501 or allowed(status, text), (
            f"{request}\n{status} {text}\n{host.log()[-3000:]}"
        )

    files = host.directory / "binds"
    files.mkdir()
    fuzz(check, generated(str(files)), 300, shrink=False)
    world.clear()
    world.client.close()
    host.settle()
    after = everything(host)
    for kind, things in before.items():
        assert set(after[kind]) == set(things), kind


def allowed(status: int, text: str) -> bool:
    return any(each in text for each in FAILURES)


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
            timeout=1 if stream else PATIENCE,
        )
        with answer:
            return answer.status_code, "" if stream and answer.ok else answer.text
    return 0, ""
