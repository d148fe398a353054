"""``/images`` and ``/commit``: Docker's image endpoints, without build, push and search."""

import base64
import binascii
import time
from collections.abc import AsyncIterator, Mapping

import msgspec
from aiohttp import web

from fairway.api import bodies, filters, references, shapes
from fairway.api.replies import byte_stream, empty, json_reply, progress
from fairway.api.routing import Call, Route
from fairway.model.errors import InvalidParameter, NotFound, Unsupported
from fairway.model.image import Image
from fairway.model.request import has_label
from fairway.model.system import STORAGE_DRIVER

_FILTERS = frozenset({"before", "dangling", "label", "reference", "since", "until"})
_CHUNK = 256 * 1024


async def list_(call: Call) -> web.Response:
    wanted = call.filters(_FILTERS)
    images = call.engine.images
    before = min((images.find(each).created for each in wanted.get("before")), default=0)
    since = max((images.find(each).created for each in wanted.get("since")), default=0)
    until = wanted.until(time.time_ns())
    shown = []
    for image in sorted(images.all(), key=lambda each: each.created, reverse=True):
        if (before and image.created >= before) or (since and image.created <= since):
            continue
        if until and image.created >= until:
            continue
        tags = _tags(image, wanted)
        if tags is not None:
            shown.append(shapes.image_summary(image, call.version, tags=tags))
    return json_reply(shown)


def _tags(image: Image, wanted: filters.Filters) -> list[str] | None:
    """The tags to show for an image, or None if the filters leave it out."""
    dangling = wanted.boolean("dangling")
    if dangling is not None and dangling != (not image.tags):
        return None
    labels = (image.config.get("config") or {}).get("Labels") or {}
    if not all(has_label(labels, label) for label in wanted.get("label")):
        return None
    patterns = wanted.get("reference")
    if not patterns:
        return list(image.tags)
    tags = [tag for tag in image.tags if any(references.matches(each, tag) for each in patterns)]
    return tags or None


async def inspect(call: Call) -> web.Response:
    image = call.engine.images.find(call.path["name"])
    return json_reply(shapes.image_inspect(image, call.version, driver=STORAGE_DRIVER))


async def history(call: Call) -> web.Response:
    return json_reply(list(call.engine.images.history(call.path["name"])))


async def tag(call: Call) -> web.Response:
    repository, name = references.target(call.text("repo"), call.text("tag"))
    if not repository:
        raise InvalidParameter("invalid reference format")
    await call.engine.images.tag(call.path["name"], repository, name)
    return empty(201)


async def remove(call: Call) -> web.Response:
    pairs = await call.engine.images.remove(call.path["name"], call.flag("force"), call.flag("noprune"))
    return json_reply(shapes.removals(pairs))


async def prune(call: Call) -> web.Response:
    """Dangling images only, unless ``dangling=false`` asks for all unused ones."""
    wanted = call.filters({"dangling", *filters.PRUNE})
    which = filters.prune(wanted, time.time_ns(), all_=wanted.boolean("dangling") is False)
    pairs, reclaimed = await call.engine.images.prune(which)
    return json_reply({"ImagesDeleted": shapes.removals(pairs) or None, "SpaceReclaimed": reclaimed})


async def create(call: Call) -> web.StreamResponse:
    """``docker pull`` (fromImage) and ``docker import`` (fromSrc)."""
    name, source = call.text("fromImage"), call.text("fromSrc")
    if name:
        repository, wanted = references.image(name, call.text("tag"))
        messages = call.engine.images.pull(
            repository, wanted, platform=call.text("platform"), auth=_credentials(call.request)
        )
        return await progress(call.request, messages)
    if source != "-":
        raise Unsupported("importing from a URL is not supported: download the archive and import it from -")
    repository, wanted = references.target(call.text("repo"), call.text("tag"))
    changes = call.request.query.getall("changes", [])
    archive = _uploaded(call.request)
    messages = call.engine.images.import_(archive, repository, wanted, changes, call.text("message"))
    return await progress(call.request, messages)


def _credentials(request: web.Request) -> Mapping[str, str] | None:
    """``X-Registry-Auth``: base64url of a JSON object; clients without credentials send an empty one."""
    header = request.headers.get("X-Registry-Auth", "")
    if not header:
        return None
    try:
        padded = header + "=" * (-len(header) % 4)
        document = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, object])
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidParameter(f"invalid X-Registry-Auth header: {error}") from None
    return {key: value for key, value in document.items() if isinstance(value, str) and value} or None


async def _uploaded(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(_CHUNK):
        yield chunk


async def load(call: Call) -> web.StreamResponse:
    if call.text("platform"):
        raise Unsupported("choosing a platform on load is not supported")
    # Docker tells of a bad archive in the stream; clients look for it there (docker-py: ImageLoadError).
    return await progress(call.request, call.engine.images.load(_uploaded(call.request)), in_stream=True)


async def get_one(call: Call) -> web.StreamResponse:
    return await _save(call, [call.path["name"]])


async def get_many(call: Call) -> web.StreamResponse:
    names = [each for given in call.request.query.getall("names", []) for each in given.split(",") if each]
    return await _save(call, names)


async def _save(call: Call, names: list[str]) -> web.StreamResponse:
    if not names:
        raise InvalidParameter("no images to save")
    for name in names:
        call.engine.images.find(name)
    return await byte_stream(call.request, call.engine.images.save(names), "application/x-tar")


async def commit(call: Call) -> web.Response:
    reference = call.text("container")
    if not reference:
        raise NotFound("No such container: ")
    data = await call.raw()
    repository, name = references.target(call.text("repo"), call.text("tag"))
    identifier = await call.engine.snapshots.commit(
        reference,
        config=bodies.commit_config(data),
        changes=call.request.query.getall("changes", []),
        repository=repository,
        tag=name,
        comment=call.text("comment"),
        author=call.text("author"),
        pause=call.flag("pause", True),
    )
    return json_reply({"Id": identifier}, 201)


ROUTES = (
    Route("GET", "/images/json", list_),
    Route("GET", "/images/get", get_many, stream=True),
    Route("GET", "/images/{name*}/json", inspect),
    Route("GET", "/images/{name*}/history", history),
    Route("GET", "/images/{name*}/get", get_one, stream=True),
    Route("POST", "/images/create", create),
    Route("POST", "/images/load", load),
    Route("POST", "/images/prune", prune),
    Route("POST", "/images/{name*}/tag", tag),
    Route("DELETE", "/images/{name*}", remove),
    Route("POST", "/commit", commit),
)
