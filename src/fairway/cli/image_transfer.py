"""Images in and out: ``pull``, ``load``, ``save``, ``import``.

Archives are streamed, never held in memory; what is written to a file is written beside it first and
renamed when complete.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fairway.cli.command import NONE, ONE, SOME, Arity, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, LIST, STRING
from fairway.cli.pulling import pull, show_progress
from fairway.cli.reference import Reference

_BLOCK = 1 << 20


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    with source:
        while block := source.read(_BLOCK):
            yield block


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise Exit(FAILED, f"open {name}: {(error.strerror or '').lower()}") from error


def _pull(given: Invocation) -> int:
    options, name = given.options, given.args[0]
    reference = Reference.require(name)
    every = options.flag("all-tags")
    if every and not reference.defaulted:
        raise Exit(FAILED, "tag can't be used with --all-tags/-a")
    if reference.defaulted and not every and not options.flag("quiet"):
        given.line(f"Using default tag: {reference.tag}")
    platform, quiet = options.text("platform"), options.flag("quiet")
    pull(given.client, reference, platform, to_stderr=False, quiet=quiet, all_tags=every)
    given.line(reference.name if every else reference.full)
    return OK


def _load(given: Invocation) -> int:
    options, name = given.options, given.options.text("input")
    if not name and os.isatty(0):
        raise Exit(FAILED, "requested load from stdin, but stdin is empty")
    source = _open(name) if name else sys.stdin.buffer
    quiet = options.flag("quiet") or not sys.stdout.isatty()
    query = {"quiet": quiet, "platform": _platform(options.text("platform"))}
    headers = {"Content-Type": "application/x-tar"}
    answer = given.client.request("POST", "/images/load", query, data=_blocks(source), headers=headers)
    if "json" in answer.headers.get("content-type", ""):
        show_progress(answer.json_stream(), sys.stdout)
    else:
        sys.stdout.write(answer.read().decode(errors="replace"))
    return OK


def _platform(text: str) -> str | None:
    """``linux/amd64/v3`` as the API's JSON."""
    if not text:
        return None
    import json

    fields = zip(("os", "architecture", "variant"), text.split("/"), strict=False)
    return json.dumps(dict(fields), separators=(",", ":"))


def _save(given: Invocation) -> int:
    output = given.options.text("output")
    if not output and sys.stdout.isatty():
        raise Exit(FAILED, "cowardly refusing to save to a terminal. Use the -o flag or redirect")
    query = {"names": given.args, "platform": _platform(given.options.text("platform"))}
    if not output:
        for chunk in given.client.request("GET", "/images/get", query).chunks():
            sys.stdout.buffer.write(chunk)
        return OK
    target = Path(output)
    if not target.parent.is_dir():
        problem = "not a directory" if target.parent.exists() else "no such file or directory"
        raise Exit(FAILED, f"failed to save image: invalid output path: stat {target.parent}: {problem}")
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            for chunk in given.client.request("GET", "/images/get", query).chunks():
                file.write(chunk)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return OK


def _import(given: Invocation) -> int:
    options, source = given.options, given.args[0]
    target = given.args[1] if len(given.args) > 1 else ""
    if target:
        Reference.require(target)
    remote = source.startswith(("http://", "https://"))
    query = {
        "fromSrc": source if remote else "-",
        "repo": target or None,
        "message": options.text("message") or None,
        "changes": options.items("change"),
        "platform": options.text("platform") or None,
    }
    data = None if remote else _blocks(sys.stdin.buffer if source == "-" else _open(source))
    headers = {} if remote else {"Content-Type": "text/plain"}
    answer = given.client.request("POST", "/images/create", query, data=data, headers=headers)
    show_progress(answer.json_stream(), sys.stdout)
    return OK


PULL = Command(
    _pull,
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    ONE,
    (
        Flag("all-tags", BOOL, "Download all tagged images in the repository", short="a"),
        Flag("disable-content-trust", BOOL, "Skip image verification", default=True),
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
        Flag("quiet", BOOL, "Suppress verbose output", short="q"),
    ),
)
LOAD = Command(
    _load,
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    NONE,
    (
        Flag("input", STRING, "Read from tar archive file, instead of STDIN", short="i"),
        Flag(
            "platform",
            STRING,
            'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
        ),
        Flag("quiet", BOOL, "Suppress the load output", short="q"),
    ),
)
SAVE = Command(
    _save,
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    SOME,
    (
        Flag("output", STRING, "Write to a file, instead of STDOUT", short="o"),
        Flag(
            "platform",
            STRING,
            'Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
        ),
    ),
    complete="images",
)
IMPORT = Command(
    _import,
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    Arity(1, None),
    (
        Flag("change", LIST, "Apply Dockerfile instruction to the created image", short="c"),
        Flag("message", STRING, "Set commit message for imported image", short="m"),
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
    ),
)
