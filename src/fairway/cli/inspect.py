"""``inspect`` for containers, images, networks, volumes, or whatever has the name.

Without a format the daemon's JSON is printed as an array; a name that is not found leaves ``[]`` and is
reported. With a template, Docker's Go type is tried first and then the JSON itself with missing keys as
errors: so both ``.ID`` and ``.Id`` work, and what exists in neither is refused.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from fairway.api.client import ApiError, quote
from fairway.cli.command import SOME, Command, Invocation
from fairway.cli.exits import FAILED, OK, TEMPLATE, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.output import inspect_format
from fairway.cli.template import Template, TemplateFailed, TemplateSyntax
from fairway.model.errors import Fault, NotFound

_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def _fetch(given: Invocation, kind: str, name: str, query: dict[str, Any] | None = None) -> Any:
    # A slash is part of an image's name, and of the path that asks for it.
    return given.client.get(_PATHS[kind].format(quote(name).replace("%2F", "/")), query)


class _Printer:
    """Collects the objects found and writes them in the format asked for."""

    def __init__(self, form: str) -> None:
        self._form, self._objects, self._texts = form, list[Any](), list[str]()
        try:
            # As it stands: unlike lists, inspect leaves a backslash outside of strings alone.
            self._template = Template(form) if form not in ("", "json") else None
        except TemplateSyntax as error:
            raise Exit(TEMPLATE, f"template parsing error: {error}") from error

    def add(self, kind: str, found: Any) -> None:
        if self._template is None:
            self._objects.append(_plain(kind, found))
        else:
            self._texts.append(_apply(self._template, kind, found))

    def flush(self) -> None:
        if self._template is not None:
            sys.stdout.write("".join(f"{text}\n" for text in self._texts) or "\n")
        elif self._form == "json":
            sys.stdout.write(json.dumps(self._objects, separators=(",", ":"), ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(json.dumps(self._objects, indent=4, ensure_ascii=False) + "\n")


def _plain(kind: str, found: Any) -> Any:
    """The daemon's JSON; of a volume, as Docker's command has it, only the fields of the type."""
    if kind != "volume":
        return found
    from fairway.cli.shapes import decode
    from fairway.cli.template.values import jsonable

    return jsonable(decode(kind, found))


def _apply(template: Template, kind: str, found: Any) -> str:
    from fairway.cli.shapes import decode

    try:
        return template.render(decode(kind, found))
    except TemplateFailed:
        # Not in Docker's type: the JSON itself may have it.
        try:
            return template.render(found, strict=True)
        except TemplateFailed as error:
            raise TemplateFailed(f"template parsing error: {error}") from error


def _show(given: Invocation, kinds: tuple[str, ...], query: dict[str, Any] | None) -> int:
    printer = _Printer(given.options.text("format"))
    faults: list[Fault] = []
    for name in given.args:
        try:
            kind, found = _find(given, kinds, name, query)
            printer.add(kind, found)
        except Fault as fault:
            faults.append(fault)
    printer.flush()
    if faults:
        raise Exit(FAILED, "\n".join(describe(fault) for fault in faults))
    return OK


def _find(
    given: Invocation, kinds: tuple[str, ...], name: str, query: dict[str, Any] | None
) -> tuple[str, Any]:
    if len(kinds) == 1:
        return kinds[0], _fetch(given, kinds[0], name, query)
    for kind in kinds:
        try:
            return kind, _fetch(given, kind, name, query if kind == "container" else None)
        except ApiError as error:
            if error.status != 404:
                raise
    raise NotFound(f"Error: No such object: {name}")


def _size(given: Invocation) -> dict[str, Any]:
    return {"size": given.options.flag("size")}


def _any(given: Invocation) -> int:
    kind = given.options.text("type")
    if given.options.given("type") and kind not in _PATHS:
        problem = f'unknown type: "{kind}"' if kind else "type is empty"
        known = ", ".join(f'"{name}"' for name in _PATHS)
        raise Exit(FAILED, f"{problem}: must be one of {known}")
    return _show(given, (kind,) if kind else tuple(_PATHS), _size(given))


_SIZE = Flag("size", BOOL, "Display total file sizes", short="s")

ANY = Command(
    _any,
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on Fairway objects",
    SOME,
    (
        inspect_format(),
        Flag("size", BOOL, "Display total file sizes if the type is container", short="s"),
        Flag("type", STRING, "Only inspect objects of the given type"),
    ),
    complete="containers",
)
CONTAINER = Command(
    lambda given: _show(given, ("container",), _size(given)),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    SOME,
    (inspect_format(), _SIZE),
    complete="containers",
)
NETWORK = Command(
    lambda given: _show(given, ("network",), {"verbose": "true" if given.options.flag("verbose") else None}),
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    SOME,
    (inspect_format(), Flag("verbose", BOOL, "Verbose output for diagnostics", short="v")),
    complete="networks",
)
VOLUME = Command(
    lambda given: _show(given, ("volume",), None),
    "[OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    SOME,
    (inspect_format(),),
    complete="volumes",
)
IMAGE = Command(
    lambda given: _show(given, ("image",), {"platform": given.options.text("platform") or None}),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    SOME,
    (
        inspect_format(),
        Flag(
            "platform",
            STRING,
            "Inspect a specific platform of the multi-platform image.\nIf the image or the server is not"
            " multi-platform capable, the command will error out if the platform does not match.\n"
            "'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)",
        ),
    ),
    complete="images",
)
