"""The daemon's side of a copy: one helper process for each, its streams passed on as they come.

Back pressure is the pipes': a client that reads or sends slowly makes the helper wait, and nothing piles up
here. Leaving early ends the helper.
"""

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fairway.model.errors import Fault, Forbidden, InvalidParameter, NotFound, System
from fairway.model.tree import PathStat, Tree
from fairway.runtime import command
from fairway.runtime.child import Child
from fairway.runtime.pipes import ReadEnd, WriteEnd, pipe

_COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", "fairway.runtime.copying")
_KINDS: dict[str, type[Fault]] = {
    kind.__name__: kind for kind in (Forbidden, InvalidParameter, NotFound, System)
}


async def describe(tree: Tree, path: str) -> PathStat:
    """What lies at ``path``. Raises NotFound, InvalidParameter (not a directory), System."""
    async with _helper(tree, path, "stat") as helper:
        return msgspec.convert(await helper.answer(), PathStat)


@asynccontextmanager
async def archive(tree: Tree, path: str) -> AsyncIterator[tuple[PathStat, AsyncGenerator[bytes, None]]]:
    """What lies at ``path`` and, as tar, all that is in it. Raises as ``describe``."""
    async with _helper(tree, path, "read") as helper:
        yield msgspec.convert(await helper.answer(), PathStat), helper.output()


async def extract(
    tree: Tree,
    path: str,
    content: AsyncIterator[bytes],
    *,
    keep_kinds: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Write an archive into the directory ``path``; see ``Extractor``.

    Raises NotFound, InvalidParameter (a damaged archive included), Forbidden (read-only), System.
    """
    async with _helper(tree, path, "write", keep_kinds=keep_kinds, owner=owner) as helper:
        await helper.feed(content)
        await helper.answer()


class _Helper:
    def __init__(self, child: Child, stdin: WriteEnd, stdout: ReadEnd, stderr: ReadEnd) -> None:
        self.child, self.stdin, self.stdout, self.stderr = child, stdin, stdout, stderr

    async def answer(self) -> dict[str, Any]:
        """The helper's line. Raises its fault; System when it died."""
        line = await self.stdout.line()
        try:
            answer = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError:
            raise System(f"copying failed: {await self._complaint()}") from None
        if "fault" in answer:
            raise _KINDS[answer["fault"]](answer["message"])
        return answer

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What follows the line. Raises System when it is not all."""
        while chunk := await self.stdout.read():
            yield chunk
        if await self.child.wait():
            raise System(f"copying failed: {await self._complaint()}")

    async def feed(self, content: AsyncIterator[bytes]) -> None:
        """All of the content, unless the helper has given up: then its answer says why."""
        try:
            async for chunk in content:
                await self.stdin.write(chunk)
        except BrokenPipeError:
            return
        finally:
            self.stdin.close()

    async def _complaint(self) -> str:
        text = (await self.stderr.read()).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else f"the helper ended with {await self.child.wait()}"


@asynccontextmanager
async def _helper(tree: Tree, path: str, verb: str, **options: Any) -> AsyncIterator[_Helper]:
    request = {
        "verb": verb,
        "root": tree.root,
        "mounts": [(m.source, m.destination, m.read_only) for m in tree.mounts],
        "read_only": tree.read_only,
        "path": path,
        **options,
    }
    argv = [*_COMMAND, msgspec.json.encode(request).decode()]
    ends: Sequence[int] = [*pipe(), *pipe(), *pipe()]
    try:
        child = Child(argv, stdin=ends[0], stdout=ends[3], stderr=ends[5], env=command.ENVIRONMENT)
    except OSError as error:
        for fd in (ends[1], ends[2], ends[4]):
            os.close(fd)
        raise System(f"cannot start the copying helper: {error.strerror}") from error
    finally:
        for fd in (ends[0], ends[3], ends[5]):
            os.close(fd)
    helper = _Helper(child, WriteEnd(ends[1]), ReadEnd(ends[2]), ReadEnd(ends[4]))
    try:
        yield helper
    finally:
        for end in (helper.stdin, helper.stdout, helper.stderr):
            end.close()
        await child.end()
