"""``/networks``: Docker's network endpoints."""

import time

from aiohttp import web

from fairway.api import bodies, filters, shapes
from fairway.api.backend import Networks
from fairway.api.replies import empty, json_reply
from fairway.api.routing import Call, Route
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import Network

_FILTERS = frozenset({"driver", "id", "label", "name", "scope", "type", "dangling"})
_PREDEFINED = frozenset({"bridge", "host", "none"})


async def list_(call: Call) -> web.Response:
    wanted = call.filters(_FILTERS)
    for kind in wanted.get("type"):
        if kind not in ("custom", "builtin"):
            raise InvalidParameter(f"invalid filter: 'type'='{kind}'")
    networks = call.engine.networks
    return json_reply([shapes.network(each) for each in networks.all() if _admits(wanted, each, networks)])


def _admits(wanted: filters.Filters, net: Network, networks: Networks) -> bool:
    builtin = net.name in _PREDEFINED
    dangling = wanted.boolean("dangling")
    return (
        wanted.exact("driver", (net.driver,))
        and wanted.match("id", net.id)
        and wanted.match("name", net.name)
        and wanted.labels(net.labels)
        and wanted.exact("scope", (net.scope,))
        and wanted.exact("type", ("builtin" if builtin else "custom",))
        and (dangling is None or dangling == (not builtin and not networks.in_use(net.id)))
    )


async def inspect(call: Call) -> web.Response:
    """``verbose`` adds services of a swarm, of which there are none. ``Warnings`` is an extension."""
    net = call.engine.networks.find(call.path["id"])
    if call.text("scope") not in ("", net.scope):
        raise NotFound(f"network {call.path['id']} not found")
    shape = shapes.network(net, call.engine.networks.attached(net.id))
    if warnings := await call.engine.networks.warnings(net):
        shape["Warnings"] = list(warnings)
    return json_reply(shape)


async def create(call: Call) -> web.Response:
    body = await call.body(bodies.NetworkBody, "CreateRequest")
    net, warning = await call.engine.networks.create(body.request())
    return json_reply({"Id": net.id, "Warning": warning}, 201)


async def remove(call: Call) -> web.Response:
    await call.engine.networks.remove(call.path["id"])
    return empty()


async def connect(call: Call) -> web.Response:
    body = await call.body(bodies.ConnectBody, "ConnectOptions")
    await call.engine.networks.connect(call.path["id"], body.container, body.endpoint_config.request())
    return empty(200)


async def disconnect(call: Call) -> web.Response:
    body = await call.body(bodies.DisconnectBody, "DisconnectOptions")
    await call.engine.networks.disconnect(call.path["id"], body.container, body.force)
    return empty(200)


async def prune(call: Call) -> web.Response:
    which = filters.prune(call.filters(filters.PRUNE), time.time_ns())
    return json_reply({"NetworksDeleted": list(await call.engine.networks.prune(which)) or None})


ROUTES = (
    Route("GET", "/networks", list_),
    Route("GET", "/networks/", list_),
    Route("GET", "/networks/{id*}", inspect),
    Route("POST", "/networks/create", create),
    Route("POST", "/networks/prune", prune),
    Route("POST", "/networks/{id*}/connect", connect),
    Route("POST", "/networks/{id*}/disconnect", disconnect),
    Route("DELETE", "/networks/{id*}", remove),
)
