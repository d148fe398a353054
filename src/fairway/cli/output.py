"""Listings: rows through a format into text. A format is Docker's ``table``, ``table TEMPLATE``, ``json``,
TEMPLATE.

A table's header is the same template applied to the column titles, so a custom table gets the right header.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fairway.cli.exits import FAILED, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import STRING
from fairway.cli.table import align
from fairway.cli.template import Record, Template, TemplateFailed, TemplateSyntax
from fairway.cli.template.functions import HEADER_FUNCTIONS

_REFER = (
    "Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with"
    " templates"
)
INSPECT_HELP = (
    "Format output using a custom template:\n'json':             Print in JSON format\n"
    f"'TEMPLATE':         Print output using the given Go template.\n{_REFER}"
)
LIST_HELP = (
    "Format output using a custom template:\n"
    "'table':            Print output in table format with column headers (default)\n"
    "'table TEMPLATE':   Print output in table format using the given Go template\n"
    "'json':             Print in JSON format\n"
    f"'TEMPLATE':         Print output using the given Go template.\n{_REFER}"
)


def list_format() -> Flag:
    """The ``--format`` option of a listing."""
    return Flag("format", STRING, LIST_HELP)


def inspect_format() -> Flag:
    """The ``-f, --format`` option of a command that shows one object."""
    return Flag("format", STRING, INSPECT_HELP, short="f")


def parse_template(source: str) -> Template:
    """A template from the command line; ``Exit`` when it cannot be parsed."""
    try:
        return Template(source)
    except TemplateSyntax as error:
        raise Exit(FAILED, f"template parsing error: {error}") from error


def render(template: Template, data: Any) -> str:
    """A template applied; ``Exit`` when it fails."""
    try:
        return template.render(data)
    except TemplateFailed as error:
        raise Exit(FAILED, f"template parsing error: {error}") from error


def print_rows(form: str, default: str, titles: Mapping[str, str], rows: Sequence[Record]) -> None:
    """Write ``rows`` in ``form`` (``default`` is the template of plain ``table``); raises ``Exit``."""
    sys.stdout.write(rows_text(form, default, titles, rows))


def rows_text(form: str, default: str, titles: Mapping[str, str], rows: Sequence[Record]) -> str:
    """What ``print_rows`` writes."""
    is_table = not form or form.startswith("table")
    source = default if form in ("", "table") else "{{json .}}" if form == "json" else form
    source = source.removeprefix("table").strip(" ") if is_table else source
    template = parse_template(source.replace("\\t", "\t").replace("\\n", "\n"))
    body = "".join(f"{render(template, row)}\n" for row in rows)
    if not is_table:
        return body
    header = Template(template.source, HEADER_FUNCTIONS)
    return align(f"{render(header, _titles(titles))}\n{body}")


def _titles(titles: Mapping[str, str]) -> Record:
    def label(name: str) -> str:
        return name.rpartition(".")[2].replace("-", " ").replace("_", " ")

    return Record("formatter.SubHeaderContext", titles, {"Label": label})


def labels_text(labels: Mapping[str, str] | None) -> str:
    """``a=b,c=d``."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))
