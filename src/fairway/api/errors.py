"""Error kinds → HTTP status: the one place (Docker Engine API, "Errors")."""

from aiohttp import web

from fairway.api.replies import empty, json_reply
from fairway.model import errors

STATUS: dict[type[errors.Fault], int] = {
    errors.InvalidParameter: 400,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.NotModified: 304,
    errors.System: 500,
    errors.Unsupported: 501,
    errors.Unavailable: 503,
}


def status_of(fault: errors.Fault) -> int:
    """The status of a fault's kind; a subclass has its nearest ancestor's."""
    return next((STATUS[kind] for kind in type(fault).__mro__ if kind in STATUS), 500)


def fault_reply(fault: errors.Fault) -> web.Response:
    """``{"message": …}``; 304 has no body (RFC 9110, 15.4.5)."""
    status = status_of(fault)
    if status == 304:
        return empty(304)
    return json_reply({"message": fault.message}, status)
