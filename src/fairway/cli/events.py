"""``events``: what happens in the daemon, one line an event, until interrupted or ``--until``."""

from __future__ import annotations

import sys
import time
from typing import Any

from fairway.cli.clock import api_moment, local_nano
from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import OK, TEMPLATE, Exit
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import STRING
from fairway.cli.output import INSPECT_HELP, render
from fairway.cli.template import Record, Template, TemplateFailed, TemplateSyntax
from fairway.cli.template.values import encode_json


def _events(given: Invocation) -> int:
    options, now = given.options, time.time()
    form = options.text("format")
    template = _template(form) if form not in ("", "json") else None
    query = {
        "since": api_moment(options.text("since"), now) or None,
        "until": api_moment(options.text("until"), now) or None,
        "filters": filters(given),
    }
    for event in given.client.request("GET", "/events", query).json_stream():
        if form == "json":
            text = encode_json(_record(event, ordered=True))
        else:
            text = render(template, _record(event)) if template else _line(event)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return OK


def _template(form: str) -> Template:
    """The format, tried on an empty event: a wrong one ends the command before it waits for events."""
    try:
        template = Template(form)
        template.render(_record({"Actor": {"ID": "", "Attributes": {}}, "Type": "", "Action": ""}))
    except (TemplateSyntax, TemplateFailed) as error:
        raise Exit(TEMPLATE, f"Error parsing format: {error}") from error
    return template


def _line(event: dict[str, Any]) -> str:
    nano = event.get("timeNano") or event.get("time", 0) * 10**9
    actor = event.get("Actor") or {}
    words = [local_nano(nano // 10**9, nano % 10**9), event["Type"], event["Action"], actor.get("ID", "")]
    if attributes := actor.get("Attributes"):
        words.append("(" + ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes)) + ")")
    return " ".join(words)


def _record(event: dict[str, Any], ordered: bool = False) -> Any:
    """For ``json`` the event as it came; for templates with the names of Go's fields, too."""
    if ordered:
        from fairway.cli.template.values import Struct

        actor = Struct(event.get("Actor") or {})
        return Struct({**event, "Actor": actor})
    fields = dict(event)
    for name, key in (("ID", "id"), ("From", "from"), ("Status", "status"), ("Scope", "scope")):
        fields[name] = event.get(key, "")
    fields |= {"Time": event.get("time", 0), "TimeNano": event.get("timeNano", 0)}
    return Record("*events.Message", fields)


EVENTS = Command(
    _events,
    "[OPTIONS]",
    "Get real time events from the server",
    NONE,
    (
        filter_flag("Filter output based on conditions provided"),
        Flag("format", STRING, INSPECT_HELP),
        Flag("since", STRING, "Show all events created since timestamp"),
        Flag("until", STRING, "Stream events until this timestamp"),
    ),
)
