"""``docs/api.md``: every endpoint of Docker's API and what becomes of it here, from the routes themselves.

``endpoints-v1.51.txt`` lists the endpoints of Docker's published API definition (docker-engine v1.51), one a
line: method, path, summary, group. A request to each is matched as the server matches it.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from fairway.api import unsupported
from fairway.api.app import ROUTES
from fairway.api.routing import Route, expression

LIST = Path(__file__).parent / "endpoints-v1.51.txt"

NOTES = {
    ("POST", "/build"): "build elsewhere and `docker load`, or import an archive",
    ("POST", "/images/create"): "pull, and import of an archive in the body; no import from a URL",
    ("POST", "/containers/{id}/update"): "with `PortBindings` as an [extension](guide.md#publish-ports)",
    ("POST", "/images/load"): "`platform` is refused",
    ("POST", "/swarm/leave"): "answers 503, as Docker does outside a swarm",
}
"""What a client should know beyond "supported"."""


class Endpoint(NamedTuple):
    method: str
    path: str
    summary: str
    group: str


def documented() -> list[Endpoint]:
    """Docker's endpoints, in the order of its reference."""
    return [Endpoint(*line.split("\t")) for line in LIST.read_text().splitlines()]


def route_of(endpoint: Endpoint) -> Route | None:
    """The route that answers it: the first that matches."""
    path = re.sub(r"\{\w+\}", "x", endpoint.path)
    routes = (route for route in ROUTES if route.method == endpoint.method)
    return next((route for route in routes if expression(route.template).fullmatch(path)), None)


def state_of(endpoint: Endpoint) -> str:
    """``supported``, ``501`` (answered so, with a message that says what is missing), or ``404``."""
    route = route_of(endpoint)
    if route is None:
        return "404"
    return "501" if route in unsupported.ROUTES else "supported"


def extensions() -> list[Route]:
    """Routes that Docker does not document."""
    known = {route_of(endpoint) for endpoint in documented()}
    return [route for route in ROUTES if route not in known and route not in unsupported.ROUTES]


def _lines() -> Iterator[str]:
    endpoints = documented()
    states = [state_of(endpoint) for endpoint in endpoints]
    yield from (
        "# Endpoints",
        "",
        "Docker Engine API, versions 1.24 to 1.51, with or without a version in the path. Generated from the",
        "routes by `scripts/api_table.py`.",
        "",
        f"Of {len(endpoints)} documented endpoints {states.count('supported')} are supported. The",
        "others answer 501 with a message that says what is missing.",
        "",
    )
    for group, members in groupby(sorted(endpoints, key=lambda e: e.group), key=lambda e: e.group):
        yield from (f"## {group}", "", "| method | path | what it does | state |", "|---|---|---|---|")
        for endpoint in members:
            note = NOTES.get((endpoint.method, endpoint.path), "")
            state = state_of(endpoint) + (f": {note}" if note else "")
            yield f"| {endpoint.method} | `{endpoint.path}` | {endpoint.summary} | {state} |"
        yield ""
    if extra := extensions():
        yield from ("## Extensions", "", "| method | path | state |", "|---|---|---|")
        yield from (f"| {route.method} | `{route.template}` | supported, extension |" for route in extra)
        yield ""


def page() -> str:
    """The text of ``docs/api.md``."""
    return "\n".join(_lines())
