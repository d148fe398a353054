"""``/fairway/rules``: what is programmed in the kernel's firewall. Not part of Docker's API."""

from typing import get_args

from aiohttp import web

from fairway.api import shapes
from fairway.api.replies import json_reply, text_reply
from fairway.api.routing import Call, Route
from fairway.model.address import Family
from fairway.model.errors import InvalidParameter
from fairway.model.rule import Form


async def report(call: Call) -> web.Response:
    """``name``: only of the network or container called that."""
    found = await call.engine.rules.report(call.text("name"))
    return json_reply([shapes.rule(each) for each in found])


async def nft(call: Call) -> web.Response:
    return text_reply(await call.engine.rules.nft(), {})


async def iptables(call: Call) -> web.Response:
    return await _iptables(call, 4)


async def ip6tables(call: Call) -> web.Response:
    return await _iptables(call, 6)


async def _iptables(call: Call, kind: Family) -> web.Response:
    """``table``, ``chain``, ``form`` (list, commands, save) and ``verbose``: as iptables' options."""
    asked = call.text("form") or "list"
    form: Form | None = next((each for each in get_args(Form) if each == asked), None)
    if form is None:
        raise InvalidParameter(f"invalid form {asked!r}: use {', '.join(get_args(Form))}")
    text = await call.engine.rules.iptables(
        kind,
        form=form,
        table=call.text("table"),
        chain=call.text("chain"),
        verbose=call.flag("verbose"),
    )
    return text_reply(text, {})


ROUTES = (
    Route("GET", "/fairway/rules", report),
    Route("GET", "/fairway/rules/nft", nft),
    Route("GET", "/fairway/rules/iptables", iptables),
    Route("GET", "/fairway/rules/ip6tables", ip6tables),
)
