"""Bodies and queries of requests: a Fault at most, and what was refused leaves no trace."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import strategies as st

from fairway.api import bodies, decode, detach, filters, references, times, versions
from fairway.drivers import find
from fairway.engine.engine import Engine
from fairway.model import reference
from fairway.model.container import Config, HostConfig
from fairway.model.errors import Fault, System
from fairway.model.request import NetworkRequest
from fuzz.documents import ANYTHING, fitting
from fuzz.requests_to_api import WORDS
from fuzz.running import fuzz
from unit.engine.world import World

TEXTS = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=4).map("".join)
)
READERS: dict[str, Callable[[str], object]] = {
    "container name": references.container_name,
    "volume name": references.volume_name,
    "network name": references.network_name,
    "image": lambda text: references.image(text, ""),
    "tag": lambda text: references.image("busybox", text),
    "target": lambda text: references.target("busybox", text),
    "pattern": lambda text: references.matches(text, "busybox:latest"),
    "reference": lambda text: str(reference.parse(text)),
    "time": lambda text: times.parse(text, 10**18),
    "version": versions.negotiate,
    "detach keys": detach.parse,
    "filter": lambda text: filters.parse(text, WORDS),
    "driver": lambda text: find(text).options(NetworkRequest(name="x", driver=text), "0" * 64),
}


@pytest.mark.parametrize("what", READERS)
def test_texts(what: str) -> None:
    def check(text: str) -> None:
        with suppress(Fault):
            READERS[what](text)

    fuzz(check, TEXTS, 100)


TARGETS = (bodies.NetworkBody, bodies.ConnectBody, bodies.DisconnectBody, bodies.ExecBody, bodies.ExecStartBody, bodies.VolumeBody, HostConfig)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_documents(target: type[Any]) -> None:
    def check(document: Any) -> None:
        with suppress(Fault):
            body = decode.body(json.dumps(document).encode(), target, "Body")
            if hasattr(body, "request"):
                body.request()

    fuzz(check, st.one_of(ANYTHING, fitting(target)), 100)


def test_bytes() -> None:
    def check(data: bytes) -> None:
        with suppress(Fault):
            bodies.container(data, "", "")

    pieces = (
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"1" * 5000,
        b"1e999",
        b"\xff",
        b"null",
        b'"Image":',
        b",",
    )
    deep = st.sampled_from(
        (b"[" * 100_000, b'{"Image":' * 100_000, b'{"Labels":' + b"[" * 2000 + b"]" * 2000 + b"}")
    )
    fuzz(check, st.one_of(st.binary(max_size=64), st.lists(st.sampled_from(pieces)).map(b"".join), deep), 300)


Verb = Callable[[Engine, dict[str, Any]], Awaitable[object]]


async def _create_network(engine: Engine, document: dict[str, Any]) -> object:
    return await engine.networks.create(
        decode.body(_json(document), bodies.NetworkBody, "CreateRequest").request()
    )


async def _create_volume(engine: Engine, document: dict[str, Any]) -> object:
    return await engine.volumes.create(
        decode.body(_json(document), bodies.VolumeBody, "CreateOptions").request()
    )


async def _create_container(engine: Engine, document: dict[str, Any]) -> object:
    data = _json({"Image": "busybox"} | document)
    created, _ = await engine.containers.create(bodies.container(data, "", ""))
    with suppress(Fault):
        await engine.containers.start(created.id)
    return created


async def _connect(engine: Engine, document: dict[str, Any]) -> None:
    body = decode.body(_json(document), bodies.ConnectBody, "ConnectOptions")
    await engine.networks.connect("other", "old", body.endpoint_config.request())


async def _update(engine: Engine, document: dict[str, Any]) -> object:
    return await engine.containers.update("old", decode.body(_json(document), HostConfig, "UpdateConfig"))


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


VERBS: dict[str, tuple[Verb, st.SearchStrategy[dict[str, Any]]]] = {
    "network": (_create_network, fitting(bodies.NetworkBody)),
    "volume": (_create_volume, fitting(bodies.VolumeBody)),
    "config": (_create_container, fitting(Config)),
    "host": (_create_container, st.fixed_dictionaries({"HostConfig": fitting(HostConfig)})),
    "networking": (
        _create_container,
        st.fixed_dictionaries({"NetworkingConfig": fitting(bodies._Networking)}),
    ),
    "connect": (_connect, st.fixed_dictionaries({"EndpointConfig": fitting(bodies.EndpointBody)})),
    "update": (_update, fitting(HostConfig)),
}


async def traces(world: World) -> tuple[object, ...]:
    """All that an operation may have left."""
    files = set(world.files.texts), set(world.files.volumes), set(world.images.prepared)
    return dict(world.store._rows), await world.kernel.facts(), dict(world.resolver.zones), files


@pytest.mark.parametrize("name", VERBS)
def test_what_is_refused_leaves_no_trace(name: str) -> None:
    verb, documents = VERBS[name]

    async def ask(document: dict[str, Any]) -> None:
        world = World()
        await world.engine.start()
        await world.engine.networks.create(NetworkRequest(name="other"))
        await world.run("old")
        before = await traces(world)
        try:
            await verb(world.engine, document)
        except System as fault:
            raise AssertionError("the request is at fault, not the system") from fault
        except Fault:
            await world.settle()
            assert await traces(world) == before
        finally:
            await world.engine.close()

    fuzz(lambda document: asyncio.run(ask(document)), documents, 60)
