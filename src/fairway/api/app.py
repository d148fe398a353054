"""The API as an aiohttp application: all routes behind one dispatcher."""

from aiohttp import web

from fairway.api import (
    archive,
    containers,
    decode,
    doctor,
    execs,
    images,
    networks,
    rules,
    stats,
    streams,
    system,
    unsupported,
    volumes,
)
from fairway.api.backend import Backend
from fairway.api.descriptors import Budget, budget
from fairway.api.routing import Router

ROUTES = (
    *system.ROUTES,
    *networks.ROUTES,
    *containers.ROUTES,
    *streams.ROUTES,
    *archive.ROUTES,
    *stats.ROUTES,
    *execs.ROUTES,
    *unsupported.ROUTES,
    *volumes.ROUTES,
    *images.ROUTES,
    *rules.ROUTES,
    *doctor.ROUTES,
)
"""The unsupported ones come before those whose last parameter may hold slashes."""


def create_app(engine: Backend, limits: Budget | None = None) -> web.Application:
    """``limits`` are those of this process unless given.

    Serve with ``AppRunner(app, handler_cancellation=True, access_log=None)``.

    Cancellation lets streams end with their client; what changes state is shielded from it (``routing``).
    """
    router = Router(engine, ROUTES, limits or budget())
    app = web.Application(client_max_size=decode.LIMIT)
    app.on_shutdown.append(router.end_streams)
    app.router.add_route("*", "/{path:.*}", router.dispatch)
    return app
