"""Images (API ``ImageSummary``, ``ImageInspect``, ``ImageDeleteResponseItem``)."""

from collections.abc import Iterable
from typing import Any

from fairway.api import times
from fairway.api.versions import Version
from fairway.model.image import Image

Json = dict[str, Any]

_OF_IMAGES = (
    "User",
    "ExposedPorts",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "OnBuild",
    "Labels",
    "StopSignal",
    "Shell",
)
_BEFORE_1_50: Json = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
"""Members of a container's configuration that images showed, too, until API 1.50."""


def image_summary(
    image: Image, version: Version, *, tags: Iterable[str], containers: int = -1, shared: int = -1
) -> Json:
    """One entry of ``GET /images/json``; ``tags`` are those that the filters let through.

    ``shared`` is the size of the layers that other images have, too; -1 when nobody asked.
    """
    shown, digests = list(tags), list(image.digests)
    if version < (1, 43) and not shown:
        shown, digests = ["<none>:<none>"], digests or ["<none>@<none>"]
    shape: Json = {
        "Containers": containers,
        "Created": image.created // times.SECOND,
        "Id": image.id,
        "Labels": (image.config.get("config") or {}).get("Labels"),
        "ParentId": "",
        "RepoDigests": digests,
        "RepoTags": shown,
        "SharedSize": shared,
        "Size": image.size,
    }
    if version < (1, 44):
        shape["VirtualSize"] = image.size
    return shape


def image_inspect(image: Image, version: Version, *, driver: str) -> Json:
    """``GET /images/{name}/json``."""
    document = image.config
    config = {key: value for key, value in (document.get("config") or {}).items() if key in _OF_IMAGES}
    shape: Json = {
        "Id": image.id,
        "RepoTags": list(image.tags),
        "RepoDigests": list(image.digests),
        "Parent": "",
        "Comment": _last_comment(document),
        "Created": times.rfc3339(image.created),
        "DockerVersion": document.get("docker_version", ""),
        "Author": document.get("author", ""),
        "Config": config if version >= (1, 50) else {**_BEFORE_1_50, **config},
        "Architecture": document.get("architecture", ""),
        "Os": document.get("os", "linux"),
        "Size": image.size,
        "GraphDriver": {"Data": {}, "Name": driver},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": times.rfc3339(image.tagged)},
    }
    if document.get("variant"):
        shape["Variant"] = document["variant"]
    if version < (1, 44):
        shape["VirtualSize"] = image.size
    if version < (1, 45):
        shape |= {"Container": "", "ContainerConfig": None}
    return shape


def _last_comment(document: Json) -> str:
    history = document.get("history") or [{}]
    return str(history[-1].get("comment", "") or document.get("comment", ""))


def removals(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    """``[{"Untagged": …}, {"Deleted": …}]``."""
    return [{verb: subject} for verb, subject in pairs]
