"""Model → the API's JSON, as plain dicts, field for field as Docker 28 (API v1.51) writes them.

Pure functions of values that are handed in. Nulls, empty lists and absent fields differ on purpose: clients
tell them apart. What older versions showed differently depends on the ``version`` argument.
"""

from fairway.api.shapes.containers import (
    changes,
    container_inspect,
    container_summary,
    exec_inspect,
    status_text,
)
from fairway.api.shapes.doctor import examination
from fairway.api.shapes.images import image_inspect, image_summary, removals
from fairway.api.shapes.networks import endpoint_settings, network, network_settings
from fairway.api.shapes.rules import rule
from fairway.api.shapes.stats import stats
from fairway.api.shapes.system import event, info, version
from fairway.api.shapes.volumes import volume

__all__ = [
    "changes",
    "container_inspect",
    "container_summary",
    "endpoint_settings",
    "event",
    "examination",
    "exec_inspect",
    "image_inspect",
    "image_summary",
    "info",
    "network",
    "network_settings",
    "removals",
    "rule",
    "stats",
    "status_text",
    "version",
    "volume",
]
