"""Requests over a socket to handlers, and back."""

import asyncio
import base64
import gc
import io
import json
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from fairway.api.app import ROUTES
from fairway.api.descriptors import Budget
from fairway.api.routing import Router, expect_lost_client
from fairway.api.system import layer_usage
from fairway.model.container import Config, Exit, HostConfig, PortBinding, RestartPolicy, State
from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.model.event import Event
from fairway.model.image import Image
from fairway.model.process import LogLine
from unit.api.fake_engine import CONTAINER_ID, IMAGE_ID, FakeEngine, FakeStreams, container

DOCUMENTED = """
    GET /containers/json
    POST /containers/create
    GET /containers/{id}/json
    GET /containers/{id}/top
    GET /containers/{id}/logs
    GET /containers/{id}/changes
    GET /containers/{id}/export
    GET /containers/{id}/stats
    POST /containers/{id}/resize
    POST /containers/{id}/start
    POST /containers/{id}/stop
    POST /containers/{id}/restart
    POST /containers/{id}/kill
    POST /containers/{id}/update
    POST /containers/{id}/rename
    POST /containers/{id}/pause
    POST /containers/{id}/unpause
    POST /containers/{id}/attach
    GET /containers/{id}/attach/ws
    POST /containers/{id}/wait
    DELETE /containers/{id}
    HEAD GET PUT /containers/{id}/archive
    POST /containers/prune
    GET /images/json
    POST /build
    POST /build/prune
    POST /images/create
    GET /images/{name}/json
    GET /images/{name}/history
    POST /images/{name}/push
    POST /images/{name}/tag
    DELETE /images/{name}
    GET /images/search
    POST /images/prune
    POST /auth
    GET /info
    GET /version
    GET HEAD /_ping
    POST /commit
    GET /events
    GET /system/df
    GET /images/{name}/get
    GET /images/get
    POST /images/load
    POST /containers/{id}/exec
    POST /exec/{id}/start
    POST /exec/{id}/resize
    GET /exec/{id}/json
    GET /volumes
    POST /volumes/create
    GET PUT DELETE /volumes/{name}
    POST /volumes/prune
    GET /networks
    GET DELETE /networks/{id}
    POST /networks/create
    POST /networks/{id}/connect
    POST /networks/{id}/disconnect
    POST /networks/prune
    GET /plugins
    GET /plugins/privileges
    POST /plugins/pull
    GET /plugins/{name}/json
    DELETE /plugins/{name}
    POST /plugins/{name}/enable
    POST /plugins/{name}/disable
    POST /plugins/{name}/upgrade
    POST /plugins/create
    POST /plugins/{name}/push
    POST /plugins/{name}/set
    GET /nodes
    GET DELETE /nodes/{id}
    POST /nodes/{id}/update
    GET /swarm
    POST /swarm/init
    POST /swarm/join
    POST /swarm/leave
    POST /swarm/update
    GET /swarm/unlockkey
    POST /swarm/unlock
    GET /services
    POST /services/create
    GET DELETE /services/{id}
    POST /services/{id}/update
    GET /services/{id}/logs
    GET /tasks
    GET /tasks/{id}
    GET /tasks/{id}/logs
    GET /secrets
    POST /secrets/create
    GET DELETE /secrets/{id}
    POST /secrets/{id}/update
    GET /configs
    POST /configs/create
    GET DELETE /configs/{id}
    POST /configs/{id}/update
    GET /distribution/{name}/json
    POST /session
"""
"""Methods and paths that Docker's API v1.51 documents."""

NOT_OFFERED = "/build /session /images/search /images/{name}/push /distribution/{name}/json /auth".split()


CLUSTER_VOLUMES = ("PUT", "/volumes/{name}")


def documented() -> list[tuple[str, str]]:
    lines = (line.split() for line in DOCUMENTED.strip().splitlines())
    return [(method, line[-1]) for line in lines for method in line[:-1]]


@pytest.mark.parametrize(("method", "path"), documented())
def test_every_documented_endpoint_has_a_route(method: str, path: str) -> None:
    found = Router(FakeEngine(), ROUTES, Budget(1024)).find(method, path.replace("{", "").replace("}", ""))
    assert found is not None
    refuses = found[0].handler.__name__ == "refuse"
    swarm = path.split("/")[1] in "plugins swarm nodes services tasks secrets configs".split()
    expected = path in NOT_OFFERED or (swarm and path != "/swarm/leave") or (method, path) == CLUSTER_VOLUMES
    assert refuses is expected


async def get(http: aiohttp.ClientSession, path: str, status: int = 200, **query: str) -> Any:
    async with http.get(path, params=query) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def post(
    http: aiohttp.ClientSession, path: str, body: Any = None, status: int = 200, **query: str
) -> Any:
    async with http.post(path, json=body, params=query) as response:
        text = await response.text()
        assert response.status == status, text
        return json.loads(text) if text else None


async def test_ping(http: aiohttp.ClientSession) -> None:
    for method, body in (("GET", "OK"), ("HEAD", "")):
        async with http.request(method, "/v1.24/_ping") as response:
            assert (response.status, await response.text()) == (200, body)
            assert response.headers["Api-Version"] == "1.51"
            assert response.headers["Docker-Experimental"] == "false"
            assert response.headers["Ostype"] == "linux"
            assert response.headers["Server"] == "Fairway/0.1.0 (linux)"


async def test_versions_and_unknown_paths(http: aiohttp.ClientSession) -> None:
    assert (await get(http, "/v1.20/info", 400))["message"].startswith("client version 1.20 is too old")
    assert (await get(http, "/v1.99/info", 400))["message"].startswith("client version 1.99 is too new")
    for path in ("/", "/v1.41/nothing", "/containers", "/v1.20/nothing"):
        assert await get(http, path, 404) == {"message": "page not found"}


async def test_unsupported_and_swarm(http: aiohttp.ClientSession) -> None:
    assert "not supported" in (await get(http, "/v1.51/services", 501))["message"]
    left = await post(http, "/swarm/leave", status=503)
    assert left == {"message": "This node is not part of a swarm"}


async def test_faults_become_statuses(
    http: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await get(http, "/containers/x/json", 404) == {"message": "No such container: x"}
    assert await post(http, "/containers/web/start", status=304) is None
    await post(http, "/networks/create", {"Name": "bridge"}, 409)
    assert "internal error" in (await post(http, "/containers/web/pause", status=500))["message"]
    assert "a defect" in capsys.readouterr().out


async def test_networks(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    made = await post(http, "/v1.51/networks/create", {"name": "app", "Labels": {"a": "b"}}, 201)
    assert made == {"Id": f"{1:064x}", "Warning": ""}
    names = {
        "": ["bridge", "app"],
        '{"type":["custom"]}': ["app"],
        '{"dangling":["true"]}': ["app"],
        '{"label":["a=b"]}': ["app"],
        '{"name":{"bri":true}}': ["bridge"],
        '{"driver":["overlay"]}': [],
    }
    for wanted, expected in names.items():
        assert [each["Name"] for each in await get(http, "/networks", filters=wanted)] == expected
    assert (await get(http, "/networks", 400, filters='{"x":["y"]}'))["message"] == "invalid filter 'x'"
    assert (await get(http, "/networks/bridge"))["Containers"][CONTAINER_ID]["Name"] == "web"
    await get(http, "/networks/bridge", 404, scope="swarm")
    settings = {"IPAMConfig": {"IPv4Address": "10.0.0.5"}}
    await post(http, "/networks/app/connect", {"Container": "web", "EndpointConfig": settings})
    assert engine.networks.connected[0][2].ipv4 == "10.0.0.5"
    await post(http, "/networks/app/disconnect", {"Container": "web", "Force": True})
    assert await post(http, "/networks/prune") == {"NetworksDeleted": ["app"]}
    async with http.delete("/networks/app") as response:
        assert response.status == 204


async def test_container_create_and_verbs(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    made = await post(http, "/containers/create", {"Image": "busybox"}, 201, name="new")
    assert made == {"Id": CONTAINER_ID, "Warnings": ["careful"]}
    bad = await post(http, "/containers/create", {"Image": "busybox"}, 400, name="-x")
    assert bad["message"] == "Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    await post(http, "/containers/web/stop", status=204, t="3", signal="INT")
    await post(http, "/containers/web/kill", status=204)
    await post(http, "/containers/web/rename", status=204, name="/other")
    await post(http, "/containers/web/rename", status=400)
    await post(http, "/containers/web/resize", h="24", w="80")
    assert "resize height" in (await post(http, "/containers/web/resize", status=400, h="x"))["message"]
    await post(http, "/containers/web/stop", status=400, t="soon")
    async with http.delete("/containers/web", params={"force": "1", "v": "0"}) as response:
        assert response.status == 204
    assert engine.containers.calls[1:] == [
        ("stop", "web", 3, "INT"),
        ("kill", "web", ""),
        ("rename", "web", "other"),
        ("resize", "web", 24, 80),
        ("remove", "web", False, True, False),
    ]


async def test_update(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    body = {
        "memory": 7,
        "CpuShares": None,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "PidsLimit": 0,
        "PortBindings": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": None, "82/tcp": []},
        "Unknown": 1,
    }
    answer = await post(http, "/containers/web/update", body)
    assert answer == {"Warnings": ["careful"]}
    policy = RestartPolicy(name="on-failure", maximum_retry_count=3)
    bindings = {"80/tcp": (PortBinding(host_port="8080"),), "81/tcp": (), "82/tcp": ()}
    changes = HostConfig(memory=7, restart_policy=policy, pids_limit=0, port_bindings=bindings)
    assert engine.containers.calls == [("update", "web", changes)]
    bad = await post(http, "/containers/web/update", {"Memory": "much"}, status=400)
    assert "cannot unmarshal string into Go struct field UpdateConfig.Memory" in bad["message"]


async def test_container_list(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    engine.containers.items = [
        container(),
        container(
            "old",
            id="d" * 64,
            created=1,
            image="sha256:gone",
            state=State(status="exited", started=1, exit_code=3),
            config=Config(image="busybox", labels={"a": "b"}, exposed_ports={"80/tcp": {}}),
        ),
    ]
    names = {
        "": ["web"],
        '{"status":["exited"]}': ["old"],
        '{"name":["^/we"]}': ["web"],
        '{"ancestor":["busybox"]}': ["web"],
        '{"network":["bridge"]}': ["web"],
        '{"health":["none"]}': ["web"],
        '{"health":["healthy"]}': [],
        '{"is-task":["true"]}': [],
        '{"volume":["x"]}': [],
        '{"since":["old"]}': ["web"],
    }
    for wanted, expected in names.items():
        listed = await get(http, "/containers/json", filters=wanted)
        assert [each["Names"][0][1:] for each in listed] == expected, wanted
    stopped = {
        '{"exited":["3"]}': ["old"],
        '{"label":["a"]}': ["old"],
        '{"expose":["70-90"]}': ["old"],
        '{"publish":["80"]}': [],
        '{"before":["web"]}': ["old"],
        '{"id":["ddd"]}': ["old"],
    }
    for wanted, expected in stopped.items():
        listed = await get(http, "/containers/json", filters=wanted, all="1")
        assert [each["Names"][0][1:] for each in listed] == expected, wanted
    both = await get(http, "/containers/json", all="1", size="1")
    assert [each["Image"] for each in both] == ["busybox", "sha256:gone"]
    assert both[0]["SizeRw"] == 10
    assert len(await get(http, "/containers/json", limit="1")) == 1
    for bad in ('{"status":["odd"]}', '{"exited":["x"]}', '{"expose":["x"]}', '{"unknown":["x"]}'):
        await get(http, "/containers/json", 400, filters=bad)


async def test_a_container_that_goes_while_it_is_measured_is_not_listed(
    http: aiohttp.ClientSession, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(reference: str) -> int:
        raise NotFound(f"No such container: {reference}")

    monkeypatch.setattr(engine.containers, "writable_size", gone)
    assert await get(http, "/containers/json", all="1", size="1") == []
    assert (await get(http, "/system/df"))["Containers"] == []


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 5000 + "s"])
async def test_numbers_without_end_are_no_times(http: aiohttp.ClientSession, number: str) -> None:
    await get(http, "/containers/web/logs", 400, stdout="1", since=number)


async def test_the_head_of_wait_precedes_its_end(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    async with http.post("/containers/web/wait", params={"condition": "next-exit"}) as response:
        assert response.status == 200
        assert engine.containers.exit is not None
        engine.containers.exit.set_result(Exit(code=7, finished=1))
        assert await response.json() == {"StatusCode": 7}
    bad = await post(http, "/containers/web/wait", status=400, condition="tomorrow")
    assert bad["message"] == 'invalid condition: "tomorrow"'


async def test_a_wait_ends_with_its_client(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    response = await http.post("/containers/web/wait")
    exit_ = engine.containers.exit
    assert exit_ is not None
    gone = asyncio.Event()
    exit_.add_done_callback(lambda _: gone.set())
    response.close()
    await asyncio.wait_for(gone.wait(), 5)
    assert exit_.cancelled()


async def test_a_change_is_finished_though_its_client_left(
    http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    hold = engine.containers.hold = asyncio.Event()
    request = asyncio.ensure_future(http.post("/containers/create", json={"Image": "x"}))
    while not engine.containers.requests:
        await asyncio.sleep(0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    hold.set()
    async with asyncio.timeout(5):
        while not engine.containers.calls:
            await asyncio.sleep(0)
    assert engine.containers.calls == [("created", "")]


async def test_logs(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    engine.containers.lines = [LogLine(1, "stdout", b"a\n"), LogLine(2, "stderr", b"b\n")]
    async with http.get("/containers/web/logs", params={"stdout": "1", "timestamps": "1"}) as response:
        assert response.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"
        body = await response.read()
        assert body == b"\x01\0\0\0\0\0\0\x21" + b"1970-01-01T00:00:00.000000001Z a\n"
    refused = await get(http, "/containers/web/logs", 400)
    assert refused["message"] == "Bad parameters: you must choose at least one stream"


async def test_attach_over_a_websocket(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    engine.containers.items = [container(config=Config(open_stdin=True))]
    streams = engine.containers.streams = FakeStreams(echo=True)
    async with http.ws_connect("/containers/web/attach/ws?stdin=1&stdout=1&stream=1") as socket:
        await socket.send_str("typed")
        assert await socket.receive_bytes(timeout=5) == b"typed"
        await socket.close()
    await asyncio.wait_for(streams.closed.wait(), 5)


async def test_attach_over_what_is_no_websocket(http: aiohttp.ClientSession) -> None:
    async with http.get("/containers/web/attach/ws?stream=1") as response:
        assert response.status == 400
        assert "not websocket protocol" in (await response.json())["message"]


async def test_a_websocket_carries_what_was_asked_for(
    http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.containers.lines = [LogLine(1, "stdout", b"before\n"), LogLine(2, "stderr", b"oops\n")]
    engine.containers.streams = FakeStreams([("stderr", b"no"), ("stdout", b"now")])
    async with http.ws_connect("/containers/web/attach/ws?logs=1&stdout=1&stream=1") as socket:
        assert await socket.receive_bytes(timeout=5) == b"before\n"
        assert await socket.receive_bytes(timeout=5) == b"now"
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    async with http.ws_connect("/containers/web/attach/ws?logs=1&stderr=1") as socket:
        assert await socket.receive_bytes(timeout=5) == b"oops\n"
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE


async def test_an_export_ends_with_its_client(
    http: aiohttp.ClientSession, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the exporter waits for its turn to go on, it holds the container."""
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield bytes(1 << 20)
        finally:
            ended.set()

    exported = endless()  # a reference, as an error's traceback has one: nothing collects it

    async def export(_reference: str) -> AsyncGenerator[bytes, None]:
        return exported

    monkeypatch.setattr(engine.snapshots, "export", export)
    response = await http.get("/containers/web/export")
    response.close()
    await asyncio.wait_for(ended.wait(), 5)


async def test_changes_export_top(http: aiohttp.ClientSession) -> None:
    changed = await get(http, "/containers/web/changes")
    assert changed == [{"Path": "/etc", "Kind": 0}, {"Path": "/etc/new", "Kind": 1}]
    async with http.get("/containers/web/export") as response:
        assert await response.read() == b"tarball"
    shown = await get(http, "/containers/web/top", ps_args="-eo pid,comm")
    assert (shown["Titles"], shown["Processes"][0][0]) == (["PID", "COMMAND"], "1")
    await get(http, "/containers/web/top", 400, ps_args="-o pid=x")
    await get(http, "/containers/web/top", 500, ps_args="-o comm")


async def test_pull(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    headers = {"X-Registry-Auth": "eyJ1c2VybmFtZSI6Im1lIn0="}
    query = {"fromImage": "a/b", "tag": "1", "platform": "linux/amd64"}
    async with http.post("/images/create", params=query, headers=headers) as response:
        assert (await response.text()).splitlines() == ['{"status":"Pulling"}', '{"status":"Done"}']
    assert engine.images.pulled == [("a/b", "1", "linux/amd64", {"username": "me"})]
    await post(http, "/images/create", status=400, fromImage="Bad")
    deep = base64.b64encode(b'{"a":' + b"[" * 2000).decode()
    async with http.post("/images/create", params=query, headers={"X-Registry-Auth": deep}) as response:
        assert response.status == 400
    await post(http, "/images/create", status=501, fromSrc="http://x")


async def test_errors_before_and_after_progress_has_begun(
    http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.images.messages = [{"status": "Pulling"}, System("disk full")]
    async with http.post("/images/create", params={"fromImage": "a"}) as response:
        assert response.status == 200
        last = json.loads((await response.text()).splitlines()[-1])
        assert last == {"errorDetail": {"message": "disk full"}, "error": "disk full"}
    engine.images.messages = [NotFound("manifest unknown")]
    assert await post(http, "/images/create", status=404, fromImage="a") == {"message": "manifest unknown"}


async def test_images(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    async with http.post("/images/load", data=b"archive" * 1000) as response:
        assert response.status == 200
        await response.read()
    assert engine.images.loaded == b"archive" * 1000
    assert (await get(http, "/images/json", filters='{"reference":["busy*"]}'))[0]["Id"] == IMAGE_ID
    for nothing in ('{"reference":["x"]}', '{"dangling":["true"]}', '{"label":["z"]}', '{"until":["1"]}'):
        assert await get(http, "/images/json", filters=nothing) == []
    assert (await get(http, "/v1.41/images/busybox/json"))["VirtualSize"] == 4096
    await get(http, "/images/no/such/json", 404)
    await post(http, "/images/busybox/tag", status=201, repo="localhost:5000/a/b", tag="2")
    assert engine.images.pulled == [("tag", "busybox", "localhost:5000/a/b", "2")]
    async with http.get(
        "/images/get", params=[("names", "busybox"), ("names", "busybox:latest")]
    ) as response:
        assert await response.read() == b"busyboxbusybox:latest"
    async with http.delete("/images/busybox") as response:
        assert (await response.json())[0] == {"Untagged": "busybox:latest"}
    assert (await post(http, "/images/prune", filters='{"dangling":["false"]}'))["SpaceReclaimed"] == 9
    assert await post(http, "/images/prune") == {"ImagesDeleted": None, "SpaceReclaimed": 0}


async def test_commit(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    made = await post(http, "/commit", {"Cmd": "ls"}, 201, container="web", repo="a", changes="EXPOSE 80")
    assert made == {"Id": IMAGE_ID}
    expected = ("commit", "web", Config(cmd=("ls",)), ("EXPOSE 80",), "a", "latest", True)
    assert engine.containers.calls == [expected]


async def test_volumes(http: aiohttp.ClientSession) -> None:
    made = await post(http, "/volumes/create", {"Name": "more", "Labels": {"a": ""}}, 201)
    assert (made["Name"], made["Labels"], made["CreatedAt"]) == ("more", {"a": ""}, "1970-01-01T00:00:01Z")
    short = await post(http, "/volumes/create", {"Name": "x"}, 400)
    assert short["message"].startswith("create x: volume name is too short")
    listed = await get(http, "/volumes", filters='{"label":["a"]}')
    assert [each["Name"] for each in listed["Volumes"]] == ["more"]
    assert (await get(http, "/volumes/no", 404))["message"] == "get no: no such volume"
    assert (await post(http, "/volumes/prune"))["VolumesDeleted"] is None
    assert (await post(http, "/v1.41/volumes/prune"))["VolumesDeleted"] == ["data"]


async def test_execs(http: aiohttp.ClientSession) -> None:
    assert await post(http, "/containers/web/exec", {"Cmd": ["ls"], "User": "1"}, 201) == {"Id": "e1"}
    assert (await get(http, "/exec/e1/json"))["ProcessConfig"]["user"] == "1"
    await post(http, "/exec/e1/start", {"Detach": True})
    await post(http, "/exec/e1/resize", h="1", w="2")
    refused = await post(http, "/containers/web/exec", {"Cmd": []}, 400)
    assert refused["message"] == "No exec command specified"
    await post(http, "/containers/web/exec", {"Cmd": ["ls"], "DetachKeys": "zz"}, 400)


async def test_events(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    def event(kind: Any, action: str, **attributes: str) -> Event:
        return Event(type=kind, action=action, id="abcdef", attributes=attributes, time=1)

    engine.events.items = [
        event("container", "start", name="web", image="busybox:latest"),
        event("container", "exec_create: sh", name="web"),
        event("network", "connect", name="app", container="abc1"),
        event("volume", "create", name="data"),
    ]
    expected = {
        "": ["start", "exec_create: sh", "connect", "create"],
        '{"type":["network"]}': ["connect"],
        '{"event":["exec_create"]}': ["exec_create: sh"],
        '{"container":["web"]}': ["start", "exec_create: sh"],
        '{"container":["abc"]}': ["start", "exec_create: sh", "connect"],
        '{"image":["busybox"]}': ["start"],
        '{"volume":["da"]}': ["create"],
        '{"node":["x"]}': [],
    }
    for wanted, actions in expected.items():
        async with http.get("/events", params={"filters": wanted, "until": "1"}) as response:
            lines = (await response.text()).splitlines()
            assert [json.loads(line)["Action"] for line in lines] == actions, wanted
    await get(http, "/events", 400, since="9", until="5")
    for asked, meant in (({}, (None, None)), ({"since": "0", "until": "1"}, (0, 10**9))):
        async with http.get("/events", params=asked):
            assert engine.events.asked == meant
    await get(http, "/events", 400, filters='{"x":["y"]}')


async def test_system(http: aiohttp.ClientSession) -> None:
    assert (await get(http, "/v1.44/info"))["ContainersRunning"] == 1
    assert (await get(http, "/version"))["ApiVersion"] == "1.51"
    used = await get(http, "/system/df")
    assert (used["LayersSize"], used["Images"][0]["Containers"]) == (4096, 1)
    assert used["Volumes"][0]["UsageData"] == {"Size": 3, "RefCount": 0}
    assert (await get(http, "/system/df", type="volume"))["Images"] == []
    await get(http, "/system/df", 400, type="x")
    async with http.post("/build/prune") as response:
        assert await response.json() == {"CachesDeleted": None, "SpaceReclaimed": 0}


def test_layers_are_counted_once() -> None:
    def image(id_: str, *layers: str) -> Image:
        sizes = {"a": 1, "b": 10, "c": 100}
        return Image(
            id=id_, config={}, layers=layers, tags=(), layer_sizes=tuple(sizes[each] for each in layers)
        )

    images = [image("x", "a", "b"), image("y", "a", "c"), image("z", "b")]
    assert layer_usage(images) == (1 + 10 + 100 + 10, {"x": 1, "y": 1, "z": 0})
    assert layer_usage([]) == (0, {})


async def test_a_broken_archive_is_told_of_in_the_stream(
    http: aiohttp.ClientSession, engine: FakeEngine
) -> None:
    engine.images.messages = [InvalidParameter("unexpected EOF")]
    async with http.post("/images/load", data=b"garbage") as response:
        assert response.status == 200
        assert (await response.json())["error"] == "unexpected EOF"


async def test_a_lost_client_is_no_unexpected_error() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    answering: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    answering.add_done_callback(expect_lost_client)
    answering.set_exception(ConnectionResetError("Cannot write to closing transport"))
    await asyncio.sleep(0)
    del answering
    gc.collect()
    assert told == []


async def test_bodies_at_the_edge(http: aiohttp.ClientSession) -> None:
    async with http.post("/networks/create", data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 400
        assert "must be 'application/json'" in (await response.json())["message"]
    header = {"Content-Type": "application/json"}
    async with http.post("/networks/create", data=io.BytesIO(b" " * (17 << 20)), headers=header) as response:
        assert response.status == 400
    async with http.post("/networks/create", data=b"{", headers=header) as response:
        assert (await response.json())["message"] == "invalid JSON: unexpected EOF"
