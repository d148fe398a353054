"""Endpoints of Docker's API that this engine does not offer: each answers 501 and says so.

The table is data: path template, methods, what is missing. All else that Docker documents is a real route.
"""

from aiohttp import web

from fairway.api.routing import Call, Handler, Route
from fairway.model.errors import Unsupported

_TABLE: tuple[tuple[str, str, str], ...] = (
    ("/build", "POST", "building images"),
    ("/session", "POST", "building images"),
    ("/images/search", "GET", "searching a registry"),
    ("/images/{name*}/push", "POST", "pushing images"),
    ("/distribution/{name*}/json", "GET", "inspecting images in a registry"),
    ("/auth", "POST", "logging in to a registry"),
    ("/volumes/{name}", "PUT", "cluster volumes"),
    ("/plugins", "GET", "plugins"),
    ("/plugins/privileges", "GET", "plugins"),
    ("/plugins/pull", "POST", "plugins"),
    ("/plugins/create", "POST", "plugins"),
    ("/plugins/{name*}/json", "GET", "plugins"),
    ("/plugins/{name*}/enable", "POST", "plugins"),
    ("/plugins/{name*}/disable", "POST", "plugins"),
    ("/plugins/{name*}/upgrade", "POST", "plugins"),
    ("/plugins/{name*}/push", "POST", "plugins"),
    ("/plugins/{name*}/set", "POST", "plugins"),
    ("/plugins/{name*}", "DELETE", "plugins"),
    ("/swarm", "GET", "swarm mode"),
    ("/swarm/init", "POST", "swarm mode"),
    ("/swarm/join", "POST", "swarm mode"),
    ("/swarm/update", "POST", "swarm mode"),
    ("/swarm/unlockkey", "GET", "swarm mode"),
    ("/swarm/unlock", "POST", "swarm mode"),
    ("/nodes", "GET", "swarm mode"),
    ("/nodes/{id}", "GET DELETE", "swarm mode"),
    ("/nodes/{id}/update", "POST", "swarm mode"),
    ("/services", "GET", "swarm mode"),
    ("/services/create", "POST", "swarm mode"),
    ("/services/{id}", "GET DELETE", "swarm mode"),
    ("/services/{id}/update", "POST", "swarm mode"),
    ("/services/{id}/logs", "GET", "swarm mode"),
    ("/tasks", "GET", "swarm mode"),
    ("/tasks/{id}", "GET", "swarm mode"),
    ("/tasks/{id}/logs", "GET", "swarm mode"),
    ("/secrets", "GET", "swarm mode"),
    ("/secrets/create", "POST", "swarm mode"),
    ("/secrets/{id}", "GET DELETE", "swarm mode"),
    ("/secrets/{id}/update", "POST", "swarm mode"),
    ("/configs", "GET", "swarm mode"),
    ("/configs/create", "POST", "swarm mode"),
    ("/configs/{id}", "GET DELETE", "swarm mode"),
    ("/configs/{id}/update", "POST", "swarm mode"),
)


def _refusal(what: str) -> Handler:
    async def refuse(call: Call) -> web.StreamResponse:
        raise Unsupported(f"not supported by Fairway: {what}")

    return refuse


ROUTES = tuple(
    Route(method, template, _refusal(what))
    for template, methods, what in _TABLE
    for method in methods.split()
)
