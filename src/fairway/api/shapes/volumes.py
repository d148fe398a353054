"""Volumes (API ``Volume``)."""

from typing import Any

from fairway.api import times
from fairway.model.container import Volume


def volume(vol: Volume, usage: tuple[int, int] | None = None) -> dict[str, Any]:
    """``usage`` is bytes and number of containers, shown by ``/system/df`` only."""
    shape: dict[str, Any] = {
        "CreatedAt": times.rfc3339(vol.created // times.SECOND * times.SECOND),
        "Driver": vol.driver,
        "Labels": vol.labels or None,
        "Mountpoint": vol.mountpoint,
        "Name": vol.name,
        "Options": vol.options or None,
        "Scope": "local",
    }
    if vol.anonymous:
        shape["Labels"] = {"com.docker.volume.anonymous": "", **vol.labels}
    if usage is not None:
        shape["UsageData"] = {"Size": usage[0], "RefCount": usage[1]}
    return shape
