"""From start to stop: listeners, engine, API, signals.

Stopping goes the other way round: no new connections, streams ended, what is under way finished, the engine
closed. Containers go on.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import cast

import structlog
from aiohttp import web

from fairway import __version__
from fairway.api.app import create_app
from fairway.api.backend import Backend
from fairway.api.descriptors import budget
from fairway.daemon import listeners, logging
from fairway.daemon.accepting import Acceptor, Factory
from fairway.daemon.config import Config, read
from fairway.daemon.listeners import Listener
from fairway.daemon.notify import notify
from fairway.model.errors import Fault

STOP_SECONDS = 15.0
"""What requests under way may take at most when the daemon stops."""
_WAITS = 2
"""How often aiohttp waits for a request: for its end, and for its task's before cancelling that."""
KEEPALIVE_SECONDS = 75.0
"""After which a connection without a request is closed, also one that has sent half of its head."""

Assemble = Callable[[Config], AbstractAsyncContextManager[Backend]]
_log = structlog.get_logger("daemon")


async def run(config: Config, words: Sequence[str], assemble: Assemble) -> None:
    """Serve until SIGTERM or SIGINT; ``words`` is the command line, read again on SIGHUP. Raises Fault."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads(min(32, (os.cpu_count() or 1) + 4)))
    opened = listeners.open_all(config, os.environ)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, _log.info, "not started yet: nothing to reload")
        for note in config.notes:
            _log.info("option without effect", option=note)
        async with assemble(config) as engine, serving(engine, opened, config):
            loop.add_signal_handler(signal.SIGHUP, reload, words, engine)
            notify("READY=1", os.environ)
            _log.info(
                "Daemon has completed initialization", version=__version__, hosts=" ".join(config.hosts)
            )
            await stopping.wait()
            notify("STOPPING=1", os.environ)
            _log.info("Processing signal: stopping")
    finally:
        for listener in opened:
            listener.close()


def threads(count: int) -> ThreadPoolExecutor:
    """As many threads as asyncio would take for blocking work, all of them started.

    On demand, as ``ThreadPoolExecutor`` starts them, they fail on a host that has no process left: the daemon
    could not even see to containers that end.
    """
    pool = ThreadPoolExecutor(count, "worker")
    together = threading.Barrier(count + 1)
    for _ in range(count):
        pool.submit(together.wait)
    together.wait()
    return pool


@contextlib.asynccontextmanager
async def serving(engine: Backend, opened: Sequence[Listener], config: Config) -> AsyncIterator[None]:
    """The API on the listeners, for the length of the block."""
    patience = STOP_SECONDS if config.shutdown_timeout < 0 else min(STOP_SECONDS, config.shutdown_timeout)
    limits = budget()
    runner = web.AppRunner(
        create_app(engine, limits),
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=patience / _WAITS,
    )
    await runner.setup()
    factory = cast(Factory, runner.server)
    try:
        with contextlib.ExitStack() as stack:
            for listener in opened:
                stack.callback(Acceptor(listener, factory, limits).close)
            yield
    finally:
        await runner.cleanup()


def reload(words: Sequence[str], engine: Backend) -> None:
    """Take over log level and labels of the changed configuration; all else needs a restart."""
    notify("RELOADING=1", os.environ)
    try:
        config = read(words)
    except Fault as fault:
        _log.error("configuration not reloaded", error=fault.message)
    else:
        logging.set_up("debug" if config.debug else config.log_level)
        engine.system.reload(config.labels, config.debug)
        _log.info("configuration reloaded", log_level=config.log_level, debug=config.debug)
    notify("READY=1", os.environ)
