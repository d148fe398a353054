"""``cp``: files between a container and this machine, as tar archives through the API.

The rules of its paths are in ``copy_paths``, the archives in ``local_tar``.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from fairway.api.client import ApiError, quote
from fairway.cli import copy_paths
from fairway.cli.command import TWO, Command, Invocation
from fairway.cli.copy_paths import Renaming, Source, Target
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL
from fairway.cli.units import human_size

_BLOCK = 1 << 20
_GO_DIRECTORY, _GO_LINK, _GO_DEVICE, _GO_IRREGULAR = 1 << 31, 1 << 27, 1 << 26, 1 << 19
"""Bits of Go's ``os.FileMode``."""
_UPDATE = 0.075
"""Seconds between two updates of the progress."""


def _cp(given: Invocation) -> int:
    source, destination = given.args
    if not source:
        raise Exit(FAILED, "source can not be empty")
    if not destination:
        raise Exit(FAILED, "destination can not be empty")
    from_container, source_path = copy_paths.split_argument(source)
    to_container, target_path = copy_paths.split_argument(destination)
    if from_container and to_container:
        raise Exit(FAILED, "copying between containers is not supported")
    try:
        if from_container:
            _download(given, from_container, source_path, target_path)
        elif to_container:
            _upload(given, source_path, to_container, target_path)
        else:
            raise Exit(FAILED, "must specify at least one container source")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Exit(FAILED, f"{error.filename}: {reason}" if error.filename else reason) from error
    return OK


def _download(given: Invocation, container: str, source: str, destination: str) -> None:
    if destination != "-":
        destination = _absolute(destination)
        _check_output(destination)
    path, rename = source, ""
    if given.options.flag("follow-link"):
        path, rename = _follow(given, container, source)
    answer = given.client.request("GET", _resource(container), {"path": path})
    if destination == "-":
        for chunk in answer.chunks():
            sys.stdout.buffer.write(chunk)
        return
    is_directory = bool(_stat(answer.headers)["mode"] & _GO_DIRECTORY)
    copied = Source(path, is_directory, rename)
    first = [(copy_paths.split_entry(path)[1], rename)] if rename else []
    target = _local_target(destination)
    directory, renaming = copy_paths.prepare(copied, target)
    from fairway.cli.local_tar import unpack

    with_progress = _Progress(given, "Copying from container - ", destination)
    unpack(with_progress.counted(answer.chunks()), directory, first + ([renaming] if renaming else []))
    with_progress.done()


def _upload(given: Invocation, source: str, container: str, destination: str) -> None:
    target = _remote_target(given, container, destination)
    options = given.options
    query: dict[str, str] = {"noOverwriteDirNonDir": "true"}
    if options.flag("archive"):
        query["copyUIDGID"] = "true"
    content: Iterable[bytes]
    if source == "-":
        if not target.is_directory:
            raise Exit(FAILED, f'destination "{container}:{destination}" must be a directory')
        directory, content = target.path, iter(lambda: sys.stdin.buffer.read(_BLOCK), b"")
    else:
        from fairway.cli.local_tar import pack

        found = _local_source(_absolute(source), options.flag("follow-link"))
        directory, renaming = copy_paths.prepare(found, target)
        content = pack(*copy_paths.split_entry(found.path), _chained(found, renaming))
    progress = _Progress(given, "Copying to container - ", f"{container}:{target.path}")
    given.client.request(
        "PUT", _resource(container), {"path": directory, **query}, data=progress.counted(content)
    ).read()
    progress.done()


def _chained(source: Source, renaming: Renaming | None) -> Renaming | None:
    """One change of names for two: a followed link's name, and the destination's."""
    if not source.rename:
        return renaming
    return copy_paths.split_entry(source.path)[1], renaming[1] if renaming else source.rename


def _resource(container: str) -> str:
    return f"/containers/{quote(container)}/archive"


def _stat(headers: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(headers["x-docker-container-path-stat"]))
    return found


def _described(given: Invocation, container: str, path: str) -> dict[str, Any] | None:
    """What lies at a path of the container; None where the daemon does not say: the copy will tell why."""
    try:
        return _stat(given.client.request("HEAD", _resource(container), {"path": path}).headers)
    except ApiError:
        return None


def _linked(path: str, found: dict[str, Any]) -> str:
    target = str(found["linkTarget"])
    return target if target.startswith("/") else posixpath.join(copy_paths.split_entry(path)[0], target)


def _follow(given: Invocation, container: str, path: str) -> tuple[str, str]:
    found = _described(given, container, path)
    if found is None or not found["mode"] & _GO_LINK:
        return path, ""
    return copy_paths.followed(path, copy_paths.clean(_linked(path, found)))


def _remote_target(given: Invocation, container: str, path: str) -> Target:
    found, real = _described(given, container, path), path
    if found is not None and found["mode"] & _GO_LINK:
        real = _linked(path, found)
        found = _described(given, container, real)
    if found is None:
        return Target(real)
    if why := _no_output(found["mode"]):
        raise Exit(FAILED, f'destination "{container}:{path}" must be a directory or a regular file: {why}')
    return Target(real, True, bool(found["mode"] & _GO_DIRECTORY))


def _no_output(mode: int) -> str:
    if mode & _GO_DEVICE:
        return "got a device"
    return "got an irregular file" if mode & _GO_IRREGULAR else ""


def _absolute(path: str) -> str:
    return copy_paths.keep_ending(copy_paths.clean(posixpath.join(os.getcwd(), path)), path)  # noqa: PTH109


def _check_output(path: str) -> None:
    directory = posixpath.dirname(copy_paths.clean(path))
    if not os.path.exists(directory):  # noqa: PTH110
        raise Exit(FAILED, f'invalid output path: directory "{directory}" does not exist')
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except FileNotFoundError:
        return
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise Exit(
            FAILED, f'invalid output path: "{path}" must be a directory or a regular file: got a device'
        )


def _local_source(path: str, follow: bool) -> Source:
    """What is copied from this machine: links before the last part are followed, the last one if asked."""
    try:
        if follow:
            real, rename = copy_paths.followed(path, os.path.realpath(path, strict=True))
        else:
            directory, entry = posixpath.split(path)
            real, rename = f"{os.path.realpath(directory, strict=True)}/{entry}", ""
            if path.endswith("/") and copy_paths.last(path) != copy_paths.last(real):
                rename = copy_paths.last(path)
        return Source(real, stat.S_ISDIR(os.lstat(real).st_mode), rename)
    except NotADirectoryError as error:
        raise Exit(FAILED, "not a directory") from error
    except OSError as error:
        raise Exit(FAILED, f"lstat {error.filename}: {(error.strerror or '').lower()}") from error


def _local_target(path: str) -> Target:
    """Where the copy goes; a link there is followed, also to where nothing is yet."""
    real = copy_paths.keep_ending(os.path.realpath(path), path)
    try:
        mode = os.stat(real).st_mode  # noqa: PTH116
    except FileNotFoundError:
        parent = copy_paths.split_entry(real)[0]
        if not stat.S_ISDIR(os.stat(parent).st_mode):  # noqa: PTH116
            raise Exit(FAILED, "not a directory") from None
        return Target(real)
    return Target(real, True, stat.S_ISDIR(mode))


class _Progress:
    """Counts the archive's bytes, shows them on a terminal, and says at the end how many there were."""

    def __init__(self, given: Invocation, header: str, where: str) -> None:
        options = given.options
        self._quiet = options.flag("quiet") if options.given("quiet") else not sys.stdout.isatty()
        self._shown = not self._quiet and sys.stderr.isatty()
        self._given, self._header, self._where = given, header, where
        self._count = 0

    def counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        due = 0.0
        for piece in pieces:
            self._count += len(piece)
            if self._shown and time.monotonic() >= due:
                due = time.monotonic() + _UPDATE
                self._show(f"{self._header}{human_size(self._count, 3)}")
            yield piece

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()

    def done(self) -> None:
        if self._quiet:
            return
        if self._shown:
            self._show("")
        self._given.warn(f"Successfully copied {human_size(self._count, 3)} to {self._where}")


CP = Command(
    _cp,
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tfairway cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem\n\n"
    "Use '-' as the source to read a tar archive from stdin\n"
    "and extract it to a directory destination in a container.\n"
    "Use '-' as the destination to stream a tar archive of a\n"
    "container source to stdout.",
    TWO,
    (
        Flag("archive", BOOL, "Archive mode (copy all uid/gid information)", short="a"),
        Flag("follow-link", BOOL, "Always follow symbol link in SRC_PATH", short="L"),
        Flag(
            "quiet",
            BOOL,
            "Suppress progress output during copy. Progress output is automatically suppressed if no terminal"
            " is attached",
            short="q",
        ),
    ),
)
