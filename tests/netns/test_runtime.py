"""Real containers through conmon and each of crun and runc, on a root file system made of busybox."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from fairway.engine.protocols import Runtime
from fairway.model.container import Config, Container, Exit, HostConfig, LogConfig, MountPoint, Ulimit
from fairway.model.errors import Conflict, InvalidParameter, NotFound, System
from fairway.model.process import ExecRequest, Launch, LogLine, Streams
from fairway.runtime import attach, rotation
from fairway.runtime.exec import LOST
from fairway.runtime.runtime import OciRuntime

pytestmark = pytest.mark.root

BUSYBOX = Path("/bin/busybox")


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("rootfs")
    root.chmod(0o755)
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "home/app"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\napp:x:1001:\naudio:x:29:app\n")
    (root / "tmp/plain").write_text("no program")
    return str(root)


@pytest.fixture(params=["crun", "runc"])
async def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OciRuntime]:
    opened = await OciRuntime.open(tmp_path / "run", tmp_path / "data", request.param)
    yield opened
    for container in list((tmp_path / "run/bundles").iterdir()):
        await opened.delete(container.name)
    await opened.cleanup()


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(tmp_path) not in mounts
    assert not [p for p in _processes() if str(tmp_path) in p], "processes left"
    assert not [id_ for id_ in Box.ids if _cgroups(id_)], "cgroups left"


def _cgroups(id_: str) -> list[Path]:
    """Those of one container; all are not looked through, as others come and go there."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob(f"fairway/{id_}"), *root.glob(f"*/fairway/{id_}")]


def _processes() -> list[str]:
    result = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                result.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return result


class Box:
    """A container under test."""

    ids: ClassVar[set[str]] = set()

    def __init__(
        self, runtime: OciRuntime, rootfs: str, script: str | tuple[str, ...], **options: Any
    ) -> None:
        host = options.pop("host", {})
        mounts = options.pop("mounts", ())
        files = options.pop("files", {})
        argv = ("sh", "-c", script) if isinstance(script, str) else script
        self.id = uuid.uuid4().hex * 2
        self.ids.add(self.id)
        self.runtime = runtime
        self.container = Container(
            id=self.id,
            name="test",
            created=0,
            image="",
            config=Config(cmd=argv, **options),
            host=HostConfig(**host),
            mounts=mounts,
        )
        self.launch = Launch(
            container=self.container, rootfs=rootfs, namespace="", hostname="box", files=files
        )

    async def create(self) -> Streams:
        self.pid = await self.runtime.create(self.launch)
        return await self.runtime.attach(self.id)

    async def run(self, stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
        """Create, attach, start, wait, delete: exit code, standard output, standard error."""
        streams = await self.create()
        await self.runtime.start(self.id)
        if stdin is not None:
            await streams.write(stdin)
            await streams.close_stdin()
        out, err = await drain(streams)
        end = await self.runtime.wait(self.id)
        await self.runtime.delete(self.id)
        return end.code, out, err

    async def logs(self, **options: Any) -> list[LogLine]:
        chosen = {
            "stdout": True,
            "stderr": True,
            "since": 0,
            "until": 0,
            "tail": -1,
            "follow": False,
        } | options
        return [line async for line in self.runtime.logs(self.id, **chosen)]

    async def exec(self, *argv: str, stdin: bytes | None = None, **options: Any) -> tuple[int, bytes, bytes]:
        request = ExecRequest(argv=argv, attach_stdin=stdin is not None, **options)
        process = await self.runtime.exec(self.container, request)
        if stdin is not None:
            await process.streams.write(stdin)
            await process.streams.close_stdin()
        out, err = await drain(process.streams)
        code = await process.exit
        process.streams.close()
        return code, out, err


async def drain(streams: Streams) -> tuple[bytes, bytes]:
    out = {"stdout": b"", "stderr": b""}
    while chunk := await streams.read():
        out[chunk[0]] += chunk[1]
    streams.close()
    return out["stdout"], out["stderr"]


async def until(streams: Streams, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen and (chunk := await streams.read()):
        seen += chunk[1]
    return seen


@pytest.mark.parametrize(("argv", "code"), [(("true",), 0), (("false",), 1), (("sh", "-c", "exit 42"), 42)])
async def test_exit_code(runtime: OciRuntime, rootfs: str, argv: tuple[str, ...], code: int) -> None:
    assert await Box(runtime, rootfs, argv).run() == (code, b"", b"")


async def test_streams_are_kept_apart(runtime: OciRuntime, rootfs: str) -> None:
    assert await Box(runtime, rootfs, "echo out; echo err >&2").run() == (0, b"out\n", b"err\n")


async def test_no_byte_of_much_output_is_lost(runtime: OciRuntime, rootfs: str) -> None:
    _, out, _ = await Box(runtime, rootfs, "seq 1 300000").run()
    assert out == b"".join(b"%d\n" % n for n in range(1, 300001))


async def test_stdin_until_end_of_file(runtime: OciRuntime, rootfs: str) -> None:
    data = os.urandom(200_000).hex().encode()
    box = Box(runtime, rootfs, ("cat",), open_stdin=True, stdin_once=True)
    streams = await box.create()
    await runtime.start(box.id)
    reading = asyncio.create_task(drain(streams))
    await streams.write(data)
    await streams.close_stdin()
    assert (await reading)[0] == data
    assert (await runtime.wait(box.id)).code == 0


async def test_stdin_stays_open_for_the_next_client(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "read a; read b; echo $a$b", open_stdin=True)
    first = await box.create()
    await runtime.start(box.id)
    await first.write(b"one\n")
    await first.close_stdin()
    first.close()
    second = await runtime.attach(box.id)
    await second.write(b"two\n")
    assert await drain(second) == (b"onetwo\n", b"")


async def test_closed_stdin_without_interactive(runtime: OciRuntime, rootfs: str) -> None:
    assert await Box(runtime, rootfs, "cat; echo end").run(b"ignored") == (0, b"end\n", b"")


async def test_terminal(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "tty; stty size; read x; stty size; echo $x $TERM", tty=True, open_stdin=True)
    box.launch = _with_host(box, console_size=(24, 80))
    streams = await box.create()
    await runtime.start(box.id)
    seen = await until(streams, b"24 80")
    assert b"/dev/" in seen
    await runtime.resize(box.id, 50, 132)
    await streams.write(b"typed\n")
    out, err = await drain(streams)
    assert b"50 132" in out
    assert b"typed xterm\r\n" in out
    assert not err
    assert (await runtime.wait(box.id)).code == 0


def _with_host(box: Box, **changes: Any) -> Launch:
    host = msgspec.structs.replace(box.container.host, **changes)
    box.container = msgspec.structs.replace(box.container, host=host)
    return msgspec.structs.replace(box.launch, container=box.container)


async def test_signals(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    streams = await box.create()
    await runtime.start(box.id)
    await until(streams, b"ready")
    await runtime.kill(box.id, signal.SIGTERM)
    assert (await runtime.wait(box.id)).code == 9
    await runtime.kill(box.id, signal.SIGKILL)
    streams.close()


async def test_killed_is_137_and_everybody_waiting_learns_it(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    waiters = [asyncio.create_task(runtime.wait(box.id)) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    before = time.time_ns()
    await runtime.kill(box.id, signal.SIGKILL)
    ends: list[Exit] = await asyncio.gather(*waiters[1:])
    assert [end.code for end in ends] == [137, 137]
    assert abs(ends[0].finished - before) < 5_000_000_000
    assert not ends[0].oom_killed


async def test_next_daemon_takes_over(runtime: OciRuntime, rootfs: str, tmp_path: Path) -> None:
    box = Box(runtime, rootfs, "echo ready; sleep 100")
    streams = await box.create()
    await runtime.start(box.id)
    await until(streams, b"ready")
    streams.close()
    other = await OciRuntime.open(tmp_path / "run", tmp_path / "data", runtime.name)
    assert await other.running() == {box.id: box.pid}
    waiting = asyncio.create_task(other.wait(box.id))
    await other.kill(box.id, signal.SIGTERM)
    await other.kill(box.id, signal.SIGKILL)
    assert (await waiting).code == 137
    assert await other.running() == {}
    third = await OciRuntime.open(tmp_path / "run", tmp_path / "data", runtime.name)
    assert (await third.wait(box.id)).code == 137
    await third.delete(box.id)
    with pytest.raises(NotFound):
        await third.wait(box.id)


def kill_monitor(box: Box, tmp_path: Path) -> None:
    os.kill(int((tmp_path / "run/bundles" / box.id / "conmon.pid").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "paused"])
async def test_killed_monitor(runtime: OciRuntime, rootfs: str, tmp_path: Path, frozen: bool) -> None:
    """Whoever has no monitor is killed, as with Docker; streams, logs and waiting end."""
    box = Box(runtime, rootfs, "setsid sleep 100 & echo ready; exec sleep 100")
    streams = await box.create()
    await runtime.start(box.id)
    await until(streams, b"ready")
    waiting = asyncio.create_task(runtime.wait(box.id))
    following = asyncio.create_task(box.logs(follow=True))
    reading = asyncio.create_task(drain(streams))
    processes = await runtime.processes(box.id)
    assert len(processes) == 2
    if frozen:
        await runtime.pause(box.id)
    before = time.time_ns()
    kill_monitor(box, tmp_path)
    end = await waiting
    assert (end.code, end.oom_killed) == (137, False)
    assert abs(end.finished - before) < 10_000_000_000
    assert await runtime.running() == {}
    assert await runtime.processes(box.id) == []
    assert [line.text for line in await following] == [b"ready\n"]
    await reading
    other = await OciRuntime.open(tmp_path / "run", tmp_path / "data", runtime.name)
    assert await other.wait(box.id) == end


async def test_a_monitor_killed_while_no_daemon_looked(
    runtime: OciRuntime, rootfs: str, tmp_path: Path
) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    kill_monitor(box, tmp_path)
    other = await OciRuntime.open(tmp_path / "run", tmp_path / "data", runtime.name)
    assert await other.running() == {box.id: box.pid}
    assert (await other.wait(box.id)).code == 137
    await other.delete(box.id)
    assert list((tmp_path / "run/exits").iterdir()) == []


async def test_a_container_that_is_being_created_has_no_monitor_yet(
    runtime: OciRuntime, rootfs: str, tmp_path: Path
) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    written = tmp_path / "run/bundles" / box.id / "conmon.pid"
    written.rename(tmp_path / "later")
    with pytest.raises(NotFound):
        await runtime.wait(box.id)
    assert await box.logs(follow=True) == []
    (tmp_path / "later").rename(written)
    assert await runtime.running() == {box.id: box.pid}
    waiting = asyncio.create_task(runtime.wait(box.id))
    await runtime.start(box.id)
    await runtime.kill(box.id, signal.SIGTERM)
    await runtime.kill(box.id, signal.SIGKILL)
    assert (await waiting).code == 137


async def test_a_monitor_that_ended_is_not_one_that_was_killed(runtime: OciRuntime, rootfs: str) -> None:
    """Whenever one looks: 3, never 137."""
    for _ in range(5):
        box = Box(runtime, rootfs, "exit 3")
        (await box.create()).close()
        waiting = asyncio.create_task(runtime.wait(box.id))
        await runtime.start(box.id)
        assert (await waiting).code == 3
        await runtime.delete(box.id)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("nosuch",), 'exec: "nosuch": executable file not found in $PATH: unknown'),
        (("/bin/nosuch",), 'exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory: unknown'),
        (("/tmp/plain",), 'exec: "/tmp/plain": permission denied: unknown'),
        (("/tmp",), "permission denied: unknown"),
    ],
)
async def test_command_that_cannot_run(
    runtime: OciRuntime, rootfs: str, argv: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    box = Box(runtime, rootfs, argv)
    with pytest.raises(InvalidParameter) as caught:
        await box.create()
    text = caught.value.message
    assert text.startswith(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    )
    assert text.endswith(words)
    assert not list((tmp_path / "run/bundles").iterdir())
    assert not list((tmp_path / "run/attach").iterdir())
    assert not list((tmp_path / "run/oci").iterdir())


async def test_exec(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"), env=("COLOUR=red",))
    (await box.create()).close()
    await runtime.start(box.id)
    assert await box.exec("sh", "-c", "echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n")
    assert await box.exec("cat", stdin=b"x" * 100_000) == (0, b"x" * 100_000, b"")
    assert (await box.exec("sh", "-c", "kill -9 $$"))[0] == 137
    out = (await box.exec("env", env=("SIZE=big",)))[1].decode().splitlines()
    assert {"COLOUR=red", "SIZE=big", "HOME=/root", "HOSTNAME=box"} <= set(out)
    assert not any(line.startswith("TERM=") for line in out)
    ids = await box.exec("sh", "-c", "id -u; id -G; echo $HOME; pwd", user="app", working_dir="/tmp")
    assert ids[1] == b"1000\n1001 29\n/home/app\n/tmp\n"
    with pytest.raises(
        InvalidParameter, match="unable to find user ghost: no matching entries in passwd file"
    ):
        await box.exec("true", user="ghost")
    for argv, words in (
        ("nosuch", "executable file not found in $PATH"),
        ("/tmp/plain", "permission denied"),
    ):
        with pytest.raises(InvalidParameter) as caught:
            await box.exec(argv)
        prefix = "OCI runtime exec failed: exec failed: unable to start container process: "
        assert caught.value.message == f'{prefix}exec: "{argv}": {words}: unknown'


async def test_exec_on_a_terminal(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    script = "test -t 0 && echo tty $TERM; stty size; read x; stty size; echo got $x; exit 4"
    request = ExecRequest(argv=("sh", "-c", script), tty=True, attach_stdin=True, console_size=(24, 80))
    process = await runtime.exec(box.container, request)
    seen = await until(process.streams, b"24 80")
    assert b"tty xterm" in seen
    process.resize(40, 100)
    await asyncio.sleep(0.1)
    await process.streams.write(b"it\n")
    out, _ = await drain(process.streams)
    assert b"40 100" in out
    assert b"got it\r\n" in out
    assert await process.exit == 4
    process.resize(1, 1)
    assert (await box.exec("seq", "1", "50000", tty=True))[1].count(b"\r\n") == 50000


async def test_exec_in_the_background_does_not_hold_the_client(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    begun = time.monotonic()
    code, out, _ = await box.exec("sh", "-c", "sleep 50 & echo done")
    assert out == b"done\n"
    assert code == 0 or (runtime.name == "runc" and code == LOST)
    assert time.monotonic() - begun < 10


async def test_exec_privileged(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    masks = []
    for privileged in (False, True):
        _, out, _ = await box.exec("grep", "CapEff", "/proc/self/status", privileged=privileged)
        masks.append(int(out.split()[1], 16))
    own = int(Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0], 16)
    assert masks == [0xA80425FB, own]


async def test_exec_needs_a_running_container(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("true",))
    streams = await box.create()
    await runtime.start(box.id)
    await drain(streams)
    await runtime.wait(box.id)
    with pytest.raises(Conflict, match="is not running"):
        await box.exec("true")


async def test_out_of_memory(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(
        runtime,
        rootfs,
        ("sh", "-c", "tail -c 100m /dev/zero"),
        host={"memory": 8 << 20, "memory_swap": 8 << 20},
    )
    (await box.create()).close()
    await runtime.start(box.id)
    end = await runtime.wait(box.id)
    assert end.oom_killed
    assert end.code == 137


async def test_pause_and_resume(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "echo ready; read x; echo $x", open_stdin=True, stdin_once=True)
    streams = await box.create()
    await runtime.start(box.id)
    await until(streams, b"ready")
    await runtime.pause(box.id)
    await streams.write(b"late\n")
    reading = asyncio.create_task(drain(streams))
    done, _ = await asyncio.wait({reading}, timeout=0.2)
    assert not done
    await runtime.resume(box.id)
    assert await reading == (b"late\n", b"")


async def test_limits_are_changed_while_it_runs(runtime: OciRuntime, rootfs: str) -> None:
    asked = {"memory": 64 * MB, "memory_swap": 128 * MB, "pids_limit": 9}
    box = Box(runtime, rootfs, "sleep 100", host=asked)
    (await box.create()).close()
    await runtime.start(box.id)
    assert limits(box.id) == (str(64 * MB), str(128 * MB), "9", "1024", "-1")
    for memory, swap in ((256 * MB, 512 * MB), (32 * MB, 48 * MB)):  # both ways: the kernel minds the order
        changed = HostConfig(memory=memory, memory_swap=swap, cpu_shares=256, cpu_quota=50_000)
        await runtime.update(box.id, changed)
        assert limits(box.id) == (str(memory), str(swap), "4194304", "256", "50000")
    await runtime.pause(box.id)
    await runtime.update(box.id, HostConfig(memory=32 * MB, memory_swap=-1, nano_cpus=250_000_000))
    assert limits(box.id)[4] == "25000"
    await runtime.resume(box.id)
    with pytest.raises(System, match="cannot update container"):
        await runtime.update(box.id, HostConfig(cpuset_cpus="4000"))
    await runtime.delete(box.id)
    with pytest.raises(Conflict, match="is not running"):
        await runtime.update(box.id, HostConfig(cpu_shares=10))


MB = 1024 * 1024


def limits(container: str) -> tuple[str, ...]:
    """Bytes of memory and with swap, processes, CPU shares and quota, as the kernel has them (cgroup v1)."""
    files = (
        ("memory", "memory.limit_in_bytes"),
        ("memory", "memory.memsw.limit_in_bytes"),
        ("pids", "pids.max"),
        ("cpu", "cpu.shares"),
        ("cpu", "cpu.cfs_quota_us"),
    )
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        pytest.skip("needs cgroup v1, whose files it reads: boot with systemd.unified_cgroup_hierarchy=0")
    found = [next(iter((root / controller).rglob(f"{container}/{name}")), None) for controller, name in files]
    return tuple(path.read_text().strip() if path else "" for path in found)


async def test_paused_container_can_be_deleted(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    await runtime.pause(box.id)
    begun = time.monotonic()
    await runtime.delete(box.id)
    assert time.monotonic() - begun < 10
    assert await runtime.processes(box.id) == []


async def test_who_does_not_read_holds_others_up_only_for_a_while(
    runtime: OciRuntime, rootfs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attach, "_PATIENCE", 0.4)
    box = Box(runtime, rootfs, "read x; seq 1 100000", open_stdin=True)
    silent = await box.create()
    await runtime.start(box.id)
    reader = await runtime.attach(box.id)
    await reader.write(b"go\n")
    out, _ = await asyncio.wait_for(drain(reader), 20)
    assert out.split() == [b"%d" % number for number in range(1, 100_001)]
    beginning, _ = await drain(silent)
    assert out.startswith(beginning)
    assert len(beginning) < len(out)
    await runtime.wait(box.id)


async def test_logs(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "echo one; echo two >&2; sleep 0.2; echo three; printf four")
    assert (await box.run())[0] == 0
    lines = await box.logs()
    assert [(line.stream, line.text) for line in lines] == [
        ("stdout", b"one\n"),
        ("stderr", b"two\n"),
        ("stdout", b"three\n"),
        ("stdout", b"four"),
    ]
    assert [line.text for line in await box.logs(tail=2)] == [b"three\n", b"four"]
    assert [line.text for line in await box.logs(stdout=False)] == [b"two\n"]
    assert [line.text for line in await box.logs(since=lines[2].time)] == [b"three\n", b"four"]
    assert [line.text for line in await box.logs(until=lines[2].time - 1, stderr=False)] == [b"one\n"]
    await runtime.forget(box.id)
    assert await box.logs() == []
    assert not Path(runtime.log_path(box.id)).exists()


async def test_logs_followed_to_the_end(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "echo one; read x; echo $x", open_stdin=True)
    streams = await box.create()
    following = asyncio.create_task(box.logs(follow=True))
    await runtime.start(box.id)
    await until(streams, b"one")
    done, _ = await asyncio.wait({following}, timeout=0.1)
    assert not done
    await streams.write(b"two\n")
    assert [line.text for line in await asyncio.wait_for(following, 10)] == [b"one\n", b"two\n"]
    streams.close()


PACED = (
    "i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo $i; [ $((i%1500)) = 0 ] && usleep 60000; done; exit 0"
)


async def test_a_rotated_log_is_followed_without_a_loss(runtime: OciRuntime, rootfs: str) -> None:
    options = LogConfig(type="json-file", config={"max-size": "50k", "max-file": "99"})
    box = Box(runtime, rootfs, PACED, host={"log_config": options})
    (await box.create()).close()
    following = asyncio.create_task(box.logs(follow=True))
    await runtime.start(box.id)
    await runtime.wait(box.id)
    expected = list(range(1, 9001))
    assert [int(line.text) for line in await asyncio.wait_for(following, 10)] == expected
    lines = await box.logs()
    assert [int(line.text) for line in lines] == expected
    assert [int(line.text) for line in await box.logs(tail=3000)] == expected[-3000:]
    assert [int(line.text) for line in await box.logs(since=lines[4000].time)][-5000:] == expected[4000:]
    directory = Path(runtime.log_path(box.id)).parent
    assert len(list(directory.glob("*.log.*"))) >= 8
    assert max(path.stat().st_size for path in directory.iterdir()) <= 62_500
    await runtime.delete(box.id)
    await runtime.forget(box.id)
    assert not directory.exists()


async def test_a_log_keeps_its_limits_and_its_end(runtime: OciRuntime, rootfs: str) -> None:
    options = LogConfig(type="json-file", config={"max-size": "50k", "max-file": "2"})
    box = Box(runtime, rootfs, PACED, host={"log_config": options})
    (await box.create()).close()
    await runtime.start(box.id)
    await runtime.wait(box.id)
    kept = [int(line.text) for line in await box.logs()]
    assert kept == list(range(9001 - len(kept), 9001))
    assert 50_000 / 60 < len(kept) < 9000
    files = {
        path.stat().st_ino: path.stat().st_size for path in Path(runtime.log_path(box.id)).parent.iterdir()
    }
    assert sum(files.values()) <= 100_000


async def test_a_log_that_nobody_watches_is_bounded(
    runtime: OciRuntime, rootfs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_BURST", 300_000)
    options = LogConfig(type="local", config={"max-size": "50k", "max-file": "3"})
    script = "echo a; read x; i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo $i; done; echo b; read x"
    box = Box(runtime, rootfs, script, open_stdin=True, host={"log_config": options})
    streams = await box.create()
    await runtime.start(box.id)  # but no ``wait``, with which the daemon begins to look
    await until(streams, b"a")
    await streams.write(b"go\n")
    await until(streams, b"b\n")
    directory = Path(runtime.log_path(box.id)).parent
    assert sum(path.stat().st_size for path in directory.iterdir()) <= 4 * 300_000
    end = asyncio.create_task(runtime.wait(box.id))
    await streams.write(b"end\n")
    assert (await end).code == 0
    assert (await box.logs(tail=1))[0].text == b"b\n"
    files = {path.stat().st_ino: path.stat().st_size for path in directory.iterdir()}
    assert sum(files.values()) <= 3 * 51_200
    streams.close()


async def test_log_driver_none(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("echo", "hi"), host={"log_config": LogConfig(type="none")})
    assert await box.run() == (0, b"hi\n", b"")
    assert await box.logs() == []


async def test_user_limits_mounts_and_name(runtime: OciRuntime, rootfs: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "shared").mkdir()
    (tmp_path / "hosts").write_text("127.0.0.1 me\n")
    box = Box(
        runtime,
        rootfs,
        "id -u; hostname; pwd; cat /etc/hosts; ulimit -n; echo hi > /shared/f; touch /etc/x || echo ro;"
        " df -k /t | tail -1 | awk '{print $2}'; grep Seccomp: /proc/self/status; echo $HOME",
        working_dir="/home/app/new",
        host={
            "readonly_rootfs": True,
            "ulimits": (Ulimit(name="nofile", soft=100, hard=200),),
            "tmpfs": {"/t": "size=1m"},
        },
        mounts=(MountPoint(type="bind", source=str(tmp_path / "shared"), destination="/shared"),),
        files={"/etc/hosts": str(tmp_path / "hosts")},
    )
    code, out, _ = await box.run()
    assert code == 0
    assert out.decode().splitlines() == [
        *("0", "box", "/home/app/new", "127.0.0.1 me", "100", "ro", "1024", "Seccomp:\t2", "/root")
    ]
    assert (tmp_path / "shared/f").read_text() == "hi\n"


async def test_privileged(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(
        runtime,
        rootfs,
        "grep -E 'Seccomp:|CapEff' /proc/self/status; test -c /dev/kmsg && echo dev;"
        " mkdir /tmp/m && mount -t tmpfs x /tmp/m && echo mounted; umount /tmp/m && rmdir /tmp/m",
        host={"privileged": True},
    )
    _, out, _ = await box.run()
    own = Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0]
    assert out.decode().split() == ["CapEff:", own, "Seccomp:", "0", "dev", "mounted"]


async def test_limit_above_the_daemons_own(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, ("true",), host={"ulimits": (Ulimit(name="nofile", soft=1, hard=1 << 30),)})
    with pytest.raises((InvalidParameter, System), match="nofile"):
        await box.create()


async def test_joined_namespaces_share_memory_and_processes(runtime: OciRuntime, rootfs: str) -> None:
    first = Box(runtime, rootfs, "echo hi > /dev/shm/f; exec sleep 100", host={"ipc_mode": "shareable"})
    (await first.create()).close()
    await runtime.start(first.id)
    while not await _written(first):
        await asyncio.sleep(0.02)
    second = Box(runtime, rootfs, "cat /dev/shm/f; hostname; ps | grep -c 'sleep 10[0]'")
    joins = {"ipc": first.pid, "pid": first.pid, "uts": first.pid}
    second.launch = msgspec.structs.replace(second.launch, joins=joins, hostname="other")
    assert (await second.run())[1] == b"hi\nbox\n1\n"


async def _written(box: Box) -> bool:
    return (await box.exec("cat", "/dev/shm/f"))[1] == b"hi\n"


async def test_processes(runtime: OciRuntime, rootfs: str) -> None:
    box = Box(runtime, rootfs, "sleep 100 & sleep 100 & echo ready; wait")
    streams = await box.create()
    await runtime.start(box.id)
    await until(streams, b"ready")
    streams.close()
    pids = await runtime.processes(box.id)
    assert len(pids) == 3
    assert box.pid in pids


async def test_nothing_is_left_of_a_deleted_container(
    runtime: OciRuntime, rootfs: str, tmp_path: Path
) -> None:
    box = Box(runtime, rootfs, ("sleep", "100"))
    (await box.create()).close()
    await runtime.start(box.id)
    await runtime.delete(box.id)
    await runtime.delete(box.id)
    for name in ("bundles", "exits", "attach", "oci", "execs"):
        assert not list((tmp_path / "run" / name).iterdir()), name
    assert not _cgroups(box.id)
    assert not [p for p in _processes() if box.id in p]


async def test_it_is_what_the_engine_asks_for(runtime: OciRuntime) -> None:
    wanted: Runtime = runtime
    assert wanted.name in wanted.path
    assert wanted.version


async def test_long_run_root(rootfs: str, tmp_path: Path) -> None:
    root = tmp_path / ("long" * 30)
    runtime = await OciRuntime.open(root / "run", root / "data")
    assert await Box(runtime, rootfs, ("echo", "hi"), tty=True).run() == (0, b"hi\r\n", b"")
    await runtime.cleanup()
