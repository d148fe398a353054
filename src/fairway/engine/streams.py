"""Streams that a client attaches to before the process exists."""

import asyncio

from fairway.model.process import StreamName, Streams


class PendingStreams:
    """Reads and writes wait until ``bind``. Ends at once if abandoned.

    Input is not kept for later: a client that sends more than a pipe holds waits until the process reads, as
    it would with a running one. Were it kept and delivered before the process starts, the start would wait
    for a reader that is still to be started.
    """

    def __init__(self) -> None:
        self._real: asyncio.Future[Streams | None] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        """Whether nobody waits for them any more."""
        return self._real.done()

    def bind(self, streams: Streams) -> None:
        """From now on these are the streams."""
        if self._real.done():  # closed meanwhile
            streams.close()
        else:
            self._real.set_result(streams)

    def abandon(self) -> None:
        """The process will not start: readers see the end."""
        if not self._real.done():
            self._real.set_result(None)

    async def _bound(self) -> Streams | None:
        return await asyncio.shield(self._real)

    async def read(self) -> tuple[StreamName, bytes] | None:
        streams = await self._bound()
        return await streams.read() if streams else None

    async def write(self, data: bytes) -> None:
        if streams := await self._bound():
            await streams.write(data)

    async def close_stdin(self) -> None:
        if streams := await self._bound():
            await streams.close_stdin()

    def close(self) -> None:
        self.abandon()
        if streams := self._real.result():
            streams.close()
