"""``cp`` on a real host: the stock ``docker`` and ``fairway`` side by side, and containers that mean harm."""

import io
import os
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, docker_version, running_host

pytestmark = pytest.mark.root
PROGRAMS = ("docker", "fairway")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(host: Host) -> Iterator[None]:
    mounts = host.mounts()
    yield
    host.ok("docker ps -aq | xargs -r docker rm -fv")
    assert host.mounts() == mounts
    assert not [p for p in host.processes() if "runtime.copying" in p]


def container(host: Host, script: str = "true", options: str = "") -> None:
    """A running container, ``box``, that has run ``script``."""
    command = shlex.quote(f"{script}; echo ready; sleep 600")
    host.ok(f"docker run -d --name box {options} busybox sh -c {command}")
    host.ok("until docker logs box | grep -q ready; do sleep 0.05; done", timeout=20)


# Both programs do the same.

LOCAL = (
    "mkdir -p dir/sub && echo one >file && echo two >dir/f && echo three >dir/sub/g && ln -s ../file dir/l"
)
LOCAL += " && ln -s dir dl && ln -s file fl && chmod 640 dir/f && mkfifo dir/pipe && ln dir/f dir/hard"
INSIDE = "mkdir -p /d/dir/sub /d/empty; cd /d; echo one >file; echo two >dir/f; echo three >dir/sub/g"
INSIDE += "; ln -s /d/dir dl; ln -s dir rel; ln -s file fl; ln -s nowhere broken; ln dir/f dir/hard"
INSIDE += "; chmod 4750 dir/f; chmod 1777 dir/sub"
COPIES = """
box:/d/file copy
box:/d/file .
box:/d/file out/
box:/d/file newdir/
box:/d/file dir
box:/d/file file
box:/d/dir copy
box:/d/dir out
box:/d/dir file
box:/d/dir/. out
box:/d/dir/. newdir
box:/d/dir/ out/
box:d/dir out
box:/d/dir/sub/.. up
box:/d/fl copy
-L box:/d/fl copy
-L box:/d/fl .
box:/d/dl copy
box:/d/dl/ copy
box:/d/dl/. copy
-L box:/d/dl .
-L box:/d/rel copy
box:/d/broken copy
-L box:/d/broken copy
box:/d/file/ copy
box:/d/file/. copy
box:/d/empty copy
box:/d/nosuch copy
box:/etc/hostname copy
-q box:/d/file copy
-q=false box:/d/file copy
nosuch:/x copy
file box:/d/new
file box:/d/new/
file box:/d
file box:/d/dir
file box:/d/file
file box:/d/fl
file box:/d/dl
file box:/d/dl/
file box:/nosuch/x
file box:d/new
dir box:/d/new
dir box:/d/new/
dir box:/d
dir box:/d/file
dir/. box:/d
dir/. box:/d/new
dir/ box:/d/dl
dl box:/d/new
dl/ box:/d/new
-L dl box:/d/new
fl box:/d/new
-L fl box:/d/new
-L fl box:/d
-a file box:/d/new
nosuch box:/d
-L nosuch box:/d
file/ box:/d
file nosuch:/d
- box:/d/file
file box:/d/../d/new
"""


@pytest.mark.skipif(
    docker_version() < 28, reason="needs the docker command 28 or newer, whose texts fairway has"
)
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_the_same_as_docker(host: Host, tmp_path: Path, state: str) -> None:
    """Exit code, output, and what lies where afterwards, for every pair of source and destination."""
    copies = COPIES.strip().splitlines()[:: 1 if state == "running" else 4]
    shown = {}
    for program in PROGRAMS:
        container(host, INSIDE)
        if state == "stopped":
            host.ok("docker stop -t 0 box")
        place = tmp_path / program
        place.mkdir()
        listed = "find . -printf '%p %y %m %l %n %s\\n' | sort"
        script = [f"cd {place}"]
        for copy in copies:
            script.append(f"rm -rf *; mkdir out; {LOCAL}; echo '== {copy}'")
            script.append(
                f"{program} cp {copy} 2>&1 | grep -v ^time=; echo exit ${{PIPESTATUS[0]}}; {listed}"
            )
        script.append("docker cp box:/d - | tar -tv | sed -E 's/ [0-9:-]+ [0-9:]+ / /' | sort")
        shown[program] = host.ok("\n".join(script)).replace(str(place), "HERE").split("== ")
        host.ok("docker rm -f box")
    theirs, ours = shown.values()
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []
    assert len(ours) == len(copies) + 1


# Content.


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_there_and_back(host: Host, tmp_path: Path, program: str, state: str) -> None:
    (tmp_path / "big").write_bytes(os.urandom(1 << 20) * 40)
    os.chown(tmp_path / "big", 1234, 567)
    os.chmod(tmp_path / "big", 0o4711)
    container(host)
    if state == "stopped":
        host.ok("docker stop -t 0 box")
    host.ok(f"{program} cp {tmp_path}/big box:/tmp/copy")
    listed = members(raw(host, f"{program} cp box:/tmp/copy -"))
    assert [(m.name, m.uid, m.gid, m.mode) for m in listed] == [("copy", 1234, 567, 0o4711)]
    host.ok(f"{program} cp box:/tmp/copy {tmp_path}/back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()
    assert (tmp_path / "back").stat().st_uid == 0
    if state == "stopped":
        host.ok("docker start box")
    assert host.ok("docker exec box stat -c '%u %g %a %s' /tmp/copy").split() == [
        "1234",
        "567",
        "4711",
        str(40 << 20),
    ]


def test_archive_mode_gives_files_to_the_container_user(host: Host, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    container(host, options="--user 70:70")
    host.ok(f"docker cp {tmp_path}/f box:/tmp/plain && fairway cp -a {tmp_path}/f box:/tmp/own")
    assert host.ok("docker exec box stat -c %u:%g /tmp/plain /tmp/own").split() == ["0:0", "70:70"]


def test_volumes_and_binds_are_seen(host: Host, tmp_path: Path) -> None:
    (tmp_path / "bind").mkdir()
    (tmp_path / "bind/b").write_text("bound")
    (tmp_path / "f").write_text("new")
    options = f"-v data:/data -v {tmp_path}/bind:/bind:ro -v etc:/etc --tmpfs /scratch"
    host.ok(f"docker create --name box {options} busybox sh -c 'echo run >/data/run; sleep 600'")
    assert (
        host.ok("docker cp box:/etc/passwd - | tar -xO | head -c 5") == "root:"
    )  # the image's, in a new volume
    host.ok(f"docker cp {tmp_path}/f box:/data/early && docker start box")
    assert host.ok("docker exec box cat /data/early") == "new"
    for _ in ("running", "stopped"):
        assert host.ok("fairway cp box:/bind/b - | tar -xO") == "bound"
        assert host.ok("fairway cp box:/data/run - | tar -xO") == "run\n"
        assert "nameserver" in host.ok("fairway cp box:/etc/resolv.conf - | tar -xO")
        refused = host.run(f"docker cp {tmp_path}/f box:/bind/")
        assert (refused.returncode, "mounted volume is marked read-only" in refused.stdout) == (1, True)
        host.ok("docker stop -t 0 box")


def test_a_read_only_root_is_not_written_to(host: Host, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    container(host, options="--read-only -v data:/data")
    refused = host.run(f"docker cp {tmp_path}/f box:/tmp/")
    assert (refused.returncode, "container rootfs is marked read-only" in refused.stdout) == (1, True)
    host.ok(f"docker cp {tmp_path}/f box:/data/")


def test_events(host: Host, tmp_path: Path) -> None:
    container(host)
    host.ok(f"docker cp box:/etc/passwd {tmp_path}/f && docker cp {tmp_path}/f box:/tmp")
    until = "$(date -d +1sec +%s)"
    seen = host.ok(
        f"docker events --since 1m --until {until} -f container=box --format {{{{.Action}}}}"
    ).split()
    assert seen[-2:] == ["archive-path", "extract-to-dir"]


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_copy_feeds_another_one(host: Host, state: str) -> None:
    container(host)
    if state == "stopped":
        host.ok("docker stop -t 0 box")
    for _ in range(5):
        host.ok("docker cp box:/etc - | docker cp - box:/tmp", timeout=20)
    assert "root:" in host.ok("docker cp box:/tmp/etc/passwd - | tar -xO")


def members(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return tar.getmembers()


# Harm.


def raw(host: Host, command: str, given: bytes = b"") -> bytes:
    done = subprocess.run(
        [*host.enter(), "bash", "-c", command],
        input=given,
        capture_output=True,
        env=host.environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(host: Host, command: str, given: bytes) -> str:
    done = subprocess.run(
        [*host.enter(), "bash", "-c", command],
        input=given,
        capture_output=True,
        env=host.environment(),
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stderr.decode()


def archive(*entries: tuple[str, bytes, str | bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = kind, 0o644
            if isinstance(content, bytes):
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            else:
                entry.linkname = content
                if kind == tarfile.CHRTYPE:
                    entry.devmajor, entry.devminor = 1, 5
                tar.addfile(entry)
    return made.getvalue()


def test_links_of_a_container_never_lead_to_the_host(host: Host, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    outside = tmp_path / "outside"
    outside.mkdir()
    climbing = "/../../../../.." + str(tmp_path / "secret")
    script = f"mkdir /d; cd /d; ln -s {tmp_path}/secret abs; ln -s {climbing} up; ln -s {outside} dir"
    script += "; ln -s /proc/1/root proc; ln -s / root"
    container(host, script)
    for path in ("/d/abs", "/d/up", "/d/dir/", "/d/proc/etc/passwd", f"/d/root{tmp_path}/secret"):
        for program in PROGRAMS:
            done = host.run(f"{program} cp -L box:{path} -")
            assert (done.returncode, "of the host" in done.stdout) == (1, False), path
            assert "Could not find the file" in done.stdout
    host.run(f"docker cp {tmp_path}/secret box:/d/dir/")
    raw_put(host, "/d/dir", archive(("f", tarfile.REGTYPE, b"x")), "404")
    assert not list(outside.iterdir())


def raw_put(host: Host, path: str, content: bytes, status: str) -> str:
    """PUT without any of the CLI's rules."""
    url = f"http://x/containers/box/archive?path={path}"
    command = (
        f"curl -sS -w ' %{{http_code}}' -X PUT --data-binary @- -H 'Content-Type: application/x-tar' '{url}'"
    )
    text = raw(host, f"{command} --unix-socket {host.socket}", content).decode()
    assert text.endswith(f" {status}"), text
    return text


def test_archives_never_lead_out_of_the_directory(host: Host, tmp_path: Path) -> None:
    container(host, "mkdir -p /d/e")
    for bad in ("../up", "a/../../up", "/../up"):
        assert "is outside of" in refusal(host, "docker cp - box:/d/e", archive((bad, tarfile.REGTYPE, b"x")))
    hard = archive(("h", tarfile.LNKTYPE, "../../etc/passwd"))
    assert "invalid hardlink" in refusal(host, "docker cp - box:/d/e", hard)
    raw(host, "docker cp - box:/d/e", archive(("/etc/abs", tarfile.REGTYPE, b"x")))
    assert host.ok("docker exec box find /d /etc/abs 2>/dev/null; true").split() == [
        "/d",
        "/d/e",
        "/d/e/etc",
        "/d/e/etc/abs",
    ]
    link = archive(("l", tarfile.SYMTYPE, str(tmp_path)), ("l/planted", tarfile.REGTYPE, b"x"))
    host.run(f"docker exec box mkdir -p {tmp_path}")
    raw(host, "docker cp - box:/d/e", link)
    assert host.ok(f"docker exec box cat {tmp_path}/planted") == "x"  # inside, where the link leads
    assert not (tmp_path / "planted").exists()


def test_devices_are_copied_as_nodes_and_never_read(host: Host) -> None:
    container(host, "mkdir /d; mknod /d/zero c 1 5; mkfifo /d/pipe")
    listed = members(raw(host, "docker cp box:/d -"))
    assert sorted((m.name, m.type, m.size) for m in listed) == [
        ("d", tarfile.DIRTYPE, 0),
        ("d/pipe", tarfile.FIFOTYPE, 0),
        ("d/zero", tarfile.CHRTYPE, 0),
    ]
    raw(host, "docker cp - box:/d", archive(("node", tarfile.CHRTYPE, "")))
    assert host.ok("docker exec box stat -c '%F %t %T' /d/node") == "character special file 1 5\n"


def test_what_changes_under_a_copy_shows_nothing_of_the_host(host: Host, tmp_path: Path) -> None:
    """A directory that is at one time a directory and at another a link to where the host has one."""
    (tmp_path / "f").write_text("of the host")
    swap = f"ln -sfn {tmp_path} /d/x; rm /d/x; cp -r /a /d/x; rm -r /d/x"
    swap = f"mkdir -p /d /a; echo inside >/a/f; while :; do {swap}; done"
    host.ok(f"docker run -d --name box busybox sh -c {shlex.quote(swap)}")
    for _ in range(8):
        for path in ("/d", "/d/x/f"):
            assert "of the host" not in host.run(f"docker cp -L box:{path} - | tr -d '\\0'").stdout
        host.run(f"docker cp {tmp_path}/f box:/d/x/planted")
    assert not (tmp_path / "planted").exists()


def test_kinds_are_kept(host: Host) -> None:
    container(host, "mkdir -p /d/dir; echo x >/d/file")
    replaced = 'cannot overwrite directory "/d/dir" with non-directory "/d"'
    assert replaced in refusal(host, "docker cp - box:/d", archive(("dir", tarfile.REGTYPE, b"x")))
    replaced = 'cannot overwrite non-directory "/d/file" with directory "/d"'
    assert replaced in refusal(host, "docker cp - box:/d", archive(("file", tarfile.DIRTYPE, "")))
    raw_put(host, "/d", archive(("dir", tarfile.REGTYPE, b"x"), ("file", tarfile.DIRTYPE, "")), "200")
    assert (
        host.ok("docker exec box stat -c '%n %F' /d/dir /d/file")
        == "/d/dir regular file\n/d/file directory\n"
    )


def test_damaged_archives(host: Host) -> None:
    container(host)
    whole = archive(("f", tarfile.REGTYPE, b"x" * 5000))
    assert "unexpected EOF" in raw_put(host, "/tmp", whole[:2000], "400")
    assert "invalid tar header" in raw_put(host, "/tmp", b"x" * 3000, "400")
    raw_put(host, "/tmp", b"", "200")
    assert "not a directory" in raw_put(host, "/etc/passwd", whole, "400")
    zipped = subprocess.run(["gzip", "-c"], input=whole, capture_output=True, check=True).stdout
    raw_put(host, "/tmp", zipped, "200")
    assert host.ok("docker exec box stat -c %s /tmp/f") == "5000\n"
