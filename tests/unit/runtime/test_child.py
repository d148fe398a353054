"""Children of the daemon: their status, their output, and that none is lost or left."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from fairway.runtime import command
from fairway.runtime.child import Child, read
from fairway.runtime.command import ENVIRONMENT


def shell(script: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL) -> Child:
    return Child(["/bin/sh", "-c", script], stdin=stdin, stdout=stdout, env=ENVIRONMENT)


async def test_everybody_who_waits_gets_the_status() -> None:
    child = shell("exit 7")
    assert list(await asyncio.gather(child.wait(), child.wait())) == [7, 7]
    assert await child.wait() == 7


async def test_a_signal_is_negative_and_killing_twice_is_no_error() -> None:
    reading, writing = os.pipe()
    child = shell("read forever", stdin=reading)
    child.kill()
    assert await child.wait() == -9
    child.kill()
    os.close(reading)
    os.close(writing)


async def test_a_waiter_that_gives_up_takes_nothing_from_the_others() -> None:
    reading, writing = os.pipe()
    child = shell("read line", stdin=reading)
    os.close(reading)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(child.wait(), 0)
    os.write(writing, b"\n")
    os.close(writing)
    assert await child.wait() == 0


async def test_it_is_reaped_when_nobody_waits() -> None:
    child = shell("exit 0")
    while Path(f"/proc/{child.pid}").exists():
        await asyncio.sleep(0)
    assert await child.wait() == 0


async def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        Child(["/nowhere"], env=ENVIRONMENT)


async def test_only_the_descriptors_given_are_there(tmp_path: Path) -> None:
    given, other = os.pipe()
    with (tmp_path / "out").open("wb") as out:
        child = Child(
            ["/bin/sh", "-c", "ls /proc/self/fd; pwd"],
            stdout=out.fileno(),
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd=tmp_path,
            pass_fds=(given,),
        )
        assert await child.wait() == 0
    os.close(given)
    os.close(other)
    *descriptors, directory = (tmp_path / "out").read_text().split()
    # ls has one for the directory that it lists.
    assert str(given) in descriptors and len(descriptors) == 5
    assert directory == str(tmp_path)


async def test_reading_goes_on_to_the_end() -> None:
    reading, writing = os.pipe()
    child = shell("echo one; echo two", stdout=writing)
    os.close(writing)
    assert await read(reading) == b"one\ntwo\n"
    assert await child.wait() == 0


async def test_a_command_gives_status_and_all_its_output() -> None:
    assert await command.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, "out\nerr")


async def test_a_cancelled_command_is_killed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    task = asyncio.create_task(command.run(["/bin/sh", "-c", f"exec cat >{fifo} 2>&1 </dev/zero"]))
    await asyncio.sleep(0)
    with fifo.open("rb", buffering=0) as written:
        assert written.read(1) == b"\0"  # it runs, and would for ever
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while written.read(65536):
            """Only when it has ended nobody has the other side open."""
