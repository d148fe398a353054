"""``version``: of the client and of the daemon."""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

from fairway import __version__
from fairway.cli.clock import parse_stamp
from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, TEMPLATE, Exit, describe
from fairway.cli.output import inspect_format, parse_template, render
from fairway.cli.table import align
from fairway.cli.template import Struct, Template, TemplateFailed, TemplateSyntax
from fairway.model.errors import Fault

_CLIENT = """\
Client:
 Version:\t{{.Version}}
 API version:\t{{.APIVersion}}
 Python version:\t{{.PythonVersion}}
 OS/Arch:\t{{.Os}}/{{.Arch}}
 Context:\t{{.Context}}
"""
_SERVER = """
Server:{{if .Platform.Name}} {{.Platform.Name}}{{end}}
{{- range .Components}}
 {{.Name}}:
{{- if eq .Name "Engine"}}
  Version:\t{{.Version}}
  API version:\t{{.Details.ApiVersion}} (minimum version {{.Details.MinAPIVersion}})
  {{- if .Details.GoVersion}}
  Go version:\t{{.Details.GoVersion}}{{end}}
  Git commit:\t{{.Details.GitCommit}}
  Built:\t{{.Details.BuildTime}}
  OS/Arch:\t{{.Details.Os}}/{{.Details.Arch}}
  Experimental:\t{{.Details.Experimental}}
{{- else}}
  Version:\t{{.Version}}
{{- range $key, $value := .Details}}
  {{$key}}:\t{{$value}}
{{- end}}{{end}}{{end}}
"""
_API_VERSION = "1.51"
_JSON_KEYS = {"APIVersion": "ApiVersion"}
_GO_NAMES = {"ApiVersion": "APIVersion"}
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}


def _client() -> Struct:
    machine = platform.machine()
    fields = {
        "Version": __version__,
        "APIVersion": _API_VERSION,
        "DefaultAPIVersion": _API_VERSION,
        "PythonVersion": platform.python_version(),
        "Os": sys.platform,
        "Arch": _ARCH.get(machine, machine),
        "Context": "default",
    }
    return Struct(fields, _JSON_KEYS, type_name="version.clientVersion")


def _built(stamp: str) -> str:
    """An RFC 3339 time as C's ``asctime`` writes it; anything else as it is."""
    found = parse_stamp(stamp)
    return time.asctime(time.gmtime(found[0])) if found else stamp


def _server(found: dict[str, Any]) -> Struct:
    """The daemon's answer; without components (a daemon older than 18.03) one is made of the top level."""
    components = found.get("Components") or [
        {"Name": "Engine", "Version": found.get("Version", ""), "Details": found}
    ]
    for component in components:
        details = component.get("Details") or {}
        if "BuildTime" in details:
            component["Details"] = details | {"BuildTime": _built(details["BuildTime"])}
    fields = {_GO_NAMES.get(key, key): value for key, value in found.items()}
    fields |= {
        "Platform": Struct(found.get("Platform") or {"Name": ""}),
        "Components": [Struct(component) for component in components],
    }
    return Struct(fields, _JSON_KEYS, frozenset({"BuildTime"}), type_name="*types.Version")


def _formatted(given: Invocation, template: Template, data: Struct) -> None:
    """Docker ends the line even when the template failed."""
    try:
        given.line(template.render(data))
    except TemplateFailed as error:
        given.line("")
        raise Exit(FAILED, str(error)) from error


def _version(given: Invocation) -> int:
    form = given.options.text("format")
    try:
        template = Template("{{json .}}" if form == "json" else form, name="version")
    except TemplateSyntax as error:
        raise Exit(TEMPLATE, f"template parsing error: {error}") from error
    fault: Fault | None = None
    server: Struct | None = None
    try:
        server = _server(given.client.get("/version"))
    except Fault as error:
        fault = error
    if form:
        _formatted(
            given, template, Struct({"Client": _client(), "Server": server}, type_name="version.versionInfo")
        )
    else:
        text = render(parse_template(_CLIENT), _client())
        text += render(parse_template(_SERVER), server) if server else ""
        sys.stdout.write(align(text, minimum=20, padding=1))
    if fault is not None:
        raise Exit(FAILED, describe(fault))
    return OK


VERSION = Command(_version, "[OPTIONS]", "Show the Fairway version information", NONE, (inspect_format(),))
