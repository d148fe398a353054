"""``fairwayd``: command line → configuration → the running daemon."""

import contextlib
import gc
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import uvloop

from fairway import __version__
from fairway.api.backend import Backend
from fairway.daemon import arguments, flags, logging, pidfile, server, wiring
from fairway.daemon.config import Config, read
from fairway.engine.settings import Settings
from fairway.model.errors import Fault

NEW_OBJECTS = 20_000
"""Allocations between two collections of cyclic garbage. A start with 10,000 ports makes 100,000 objects that
are in no cycle; with Python's 700 it takes 15 % longer."""


def main(words: Sequence[str] | None = None) -> int:
    """Exit status: 0 after an ordered stop, 1 for a wrong configuration or a failed start."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        asked = arguments.parse(given)
        if "help" in asked:
            sys.stdout.write(flags.usage())
            return 0
        if "version" in asked:
            sys.stdout.write(f"Fairway version {__version__}\n")
            return 0
        config = read(given)
    except Fault as fault:
        sys.stderr.write(f"{fault.message}\n")
        return 1
    if "validate" in asked:
        sys.stdout.write("configuration OK\n")
        return 0
    return _run(config, given)


def _run(config: Config, words: Sequence[str]) -> int:
    logging.set_up("debug" if config.debug else config.log_level)
    os.umask(0o022)  # as dockerd: modes that containers see must not depend on who started the daemon
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20)
    try:
        with pidfile.held(Path(config.pidfile)):
            uvloop.run(server.run(config, words, assembled))
    except Fault as fault:
        told = fault.message.startswith("failed to start daemon")
        sys.stderr.write(f"{'' if told else 'failed to start daemon: '}{fault.message}\n")
        return 1
    return 0


@contextlib.asynccontextmanager
async def assembled(config: Config) -> AsyncIterator[Backend]:
    """The engine that the configuration describes."""
    options = wiring.Options(
        settings=Settings(
            id=wiring.identity(Path(config.data_root)),
            exec_root=config.exec_root,
            data_root=config.data_root,
            address_pools=config.address_pools,
            mtu=config.mtu,
            **msgspec.structs.asdict(config.networking),
            dns=config.dns,
            dns_search=config.dns_search,
            dns_options=config.dns_options,
            labels=config.labels,
            debug=config.debug,
        ),
        runtime=config.default_runtime,
        insecure_registries=config.insecure_registries,
    )
    async with wiring.assembled(options) as engine:
        yield engine


if __name__ == "__main__":
    sys.exit(main())
