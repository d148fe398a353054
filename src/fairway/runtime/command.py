"""Running the programs that this package needs: children with a minimal environment, no inherited
descriptors.

Their output is read whole; it is short. A program that does not end in time is killed, so no caller can hang.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence

from fairway.model.errors import System
from fairway.runtime.child import Child, read

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
PATIENCE = 20.0
"""Seconds after which a helper program is taken to hang."""


def find(name: str, package: str) -> str:
    """Path of a program. Raises System naming the package that has it."""
    path = shutil.which(name, path=ENVIRONMENT["PATH"])
    if path is None:
        raise System(f"the program {name} is not installed; install it: apt install {package}")
    return path


async def run(argv: Sequence[str]) -> tuple[int, str]:
    """Exit status (negative: signal) and standard output and error together. Raises System on time-out."""
    reading, writing = os.pipe()
    try:
        child = Child(argv, stdout=writing, stderr=writing, env=ENVIRONMENT)
    except OSError as error:
        os.close(reading)
        raise System(f"cannot run {argv[0]}: {error.strerror}") from error
    finally:
        os.close(writing)
    try:
        async with asyncio.timeout(PATIENCE):
            output = await read(reading)
            status = await child.wait()
    except TimeoutError:
        raise System(f"{argv[0]} did not end within {PATIENCE:.0f} seconds: {' '.join(argv)}") from None
    finally:
        await child.end()
    return status, output.decode(errors="replace").strip()
