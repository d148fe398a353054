"""Streams that a client attaches to before the process exists."""

import asyncio

from fairway.model.process import StreamName, Streams


class PendingStreams:
    """Reads wait until ``bind``; what was written before is delivered then. Ends at once if abandoned."""

    def __init__(self) -> None:
        self._real: asyncio.Future[Streams | None] = asyncio.get_running_loop().create_future()
        self._early: list[bytes] = []
        self._stdin_closed = False
        self._closed = False

    async def bind(self, streams: Streams) -> None:
        """From now on these are the streams."""
        if self._closed:
            streams.close()
            return
        for data in self._early:
            await streams.write(data)
        if self._stdin_closed:
            await streams.close_stdin()
        self._real.set_result(streams)

    def abandon(self) -> None:
        """The process will not start: readers see the end."""
        if not self._real.done():
            self._real.set_result(None)

    async def read(self) -> tuple[StreamName, bytes] | None:
        streams = await asyncio.shield(self._real)
        return await streams.read() if streams else None

    async def write(self, data: bytes) -> None:
        if self._real.done():
            streams = self._real.result()
            if streams:
                await streams.write(data)
        else:
            self._early.append(data)

    async def close_stdin(self) -> None:
        self._stdin_closed = True
        if self._real.done():
            streams = self._real.result()
            if streams:
                await streams.close_stdin()

    def close(self) -> None:
        self._closed = True
        if self._real.done():
            streams = self._real.result()
            if streams:
                streams.close()
        else:
            self._real.set_result(None)
