"""The image store on a real filesystem: archives in and out, layers, containers' layers, registries."""

import asyncio
import contextlib
import ctypes
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fairway.model.container import Config, Container, HostConfig
from fairway.model.errors import Conflict, InvalidParameter, NotFound, System
from fairway.model.image import RootFilesystem
from fairway.runtime.images.busybox import make_busybox_image
from fairway.runtime.images.layers import LayerStore
from fairway.runtime.images.store import ImageStore

pytestmark = pytest.mark.root

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""CAP_NET_BIND_SERVICE+ep, vfs_cap_data revision 2 (linux/capability.h)."""


class Tar:
    """Builds archives, well-formed or not."""

    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        self.tar = tarfile.TarFile(fileobj=self.buffer, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> "Tar":
        entry = tarfile.TarInfo(name)
        entry.type, entry.size, entry.mode, entry.mtime = kind, len(data), 0o644, 1000
        for key, value in fields.items():
            setattr(entry, key, value)
        self.tar.addfile(entry, io.BytesIO(data))
        return self

    def bytes(self) -> bytes:
        self.tar.close()
        return self.buffer.getvalue()


async def stream(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 65536):
        yield data[at : at + 65536]


async def collect(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def messages(source: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message async for message in source]


def container(image: str, name: str = "c1") -> Container:
    return Container(
        id=name, name=name, created=0, image=image, config=Config(cmd=("sh", "-c", "x")), host=HostConfig()
    )


def unfinished(base: Path) -> list[Path]:
    return list((base / "images" / "tmp").iterdir())


@pytest.fixture(scope="session")
def busybox() -> bytes:
    path = shutil.which("busybox")
    assert path
    return make_busybox_image(Path(path))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path


def open_store(base: Path) -> ImageStore:
    return ImageStore(base / "images", base / "rw", base / "rootfs")


@pytest.fixture
def store(base: Path) -> ImageStore:
    return open_store(base)


@pytest.fixture
def layers(base: Path) -> LayerStore:
    (base / "tmp").mkdir()
    return LayerStore(base / "layers", base / "tmp")


def register(layers: LayerStore, base: Path, archive: bytes) -> Path:
    """The unpacked directory of a layer made from this archive."""
    (base / "archive").write_bytes(archive)
    layer = layers.register(base / "archive")
    return Path(layers.lower([layer.diff_id])[0])


@contextlib.contextmanager
def mounted(root: RootFilesystem) -> Iterator[Path]:
    """The overlay; the daemon's kernel worker does this."""
    options = f"lowerdir={':'.join(root.lower)},upperdir={root.upper},workdir={root.work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root.target], check=True)
    try:
        yield Path(root.target)
    finally:
        subprocess.run(["umount", root.target], check=True)


# --- layers


def test_unpack_keeps_every_attribute(layers: LayerStore, base: Path) -> None:
    xattrs = {
        "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.note": "n\nx",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
    }
    diff = register(
        layers,
        base,
        Tar()
        .add("./", tarfile.DIRTYPE, mode=0o750)
        .add("d", tarfile.DIRTYPE, mode=0o1777, uid=3, gid=4, mtime=1234)
        .add("d/suid", data=b"abc", mode=0o4755, uid=5, gid=6, mtime=77, pax_headers=xattrs)
        .add("d/hard", tarfile.LNKTYPE, linkname="d/suid")
        .add("d/link", tarfile.SYMTYPE, linkname="/etc/passwd", uid=7)
        .add("d/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
        .add("d/fifo", tarfile.FIFOTYPE, mode=0o600)
        .add("deep/er/file", data=b"1")
        .bytes(),
    )
    directory, suid = os.stat(diff / "d"), os.stat(diff / "d/suid")
    assert stat.S_IMODE(os.stat(diff).st_mode) == 0o750
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid, directory.st_gid) == (0o1777, 3, 4)
    assert directory.st_mtime == 1234
    assert (stat.S_IMODE(suid.st_mode), suid.st_uid, suid.st_gid, suid.st_mtime) == (0o4755, 5, 6, 77)
    assert os.stat(diff / "d/hard").st_ino == suid.st_ino
    assert os.getxattr(diff / "d/suid", "security.capability") == CAPABILITY
    assert os.getxattr(diff / "d/suid", "user.note") == b"n\nx"
    assert not [x for x in os.listxattr(diff / "d/suid") if x.startswith("trusted.")]
    assert os.readlink(diff / "d/link") == "/etc/passwd" and os.lstat(diff / "d/link").st_uid == 7
    assert os.stat(diff / "d/null").st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(os.stat(diff / "d/fifo").st_mode)
    assert (diff / "deep/er/file").read_bytes() == b"1"


def test_whiteouts_become_those_of_overlayfs(layers: LayerStore, base: Path) -> None:
    diff = register(
        layers,
        base,
        Tar()
        .add("a", tarfile.DIRTYPE, mode=0o755)
        .add("a/.wh.gone")
        .add("b", tarfile.DIRTYPE, mode=0o755)
        .add("b/.wh..wh..opq")
        .add(".wh..wh.plnk", tarfile.DIRTYPE)
        .add(".wh.again")
        .add("again", tarfile.DIRTYPE, mode=0o755)
        .add("kept", data=b"x")
        .add(".wh.kept")
        .bytes(),
    )
    gone = os.lstat(diff / "a/gone")
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert os.getxattr(diff / "b", "trusted.overlay.opaque") == b"y"
    assert os.getxattr(diff / "again", "trusted.overlay.opaque") == b"y"
    assert (diff / "kept").read_bytes() == b"x"
    assert sorted(os.listdir(diff)) == ["a", "again", "b", "kept"]


def test_no_entry_leads_out_of_the_layer(layers: LayerStore, base: Path) -> None:
    (base / "outside").mkdir()
    victim = base / "outside" / "victim"
    victim.write_text("safe")
    diff = register(
        layers,
        base,
        Tar()
        .add("../../../../escape1", data=b"x")
        .add(str(victim), data=b"absolute")
        .add("up", tarfile.SYMTYPE, linkname=str(base / "outside"))
        .add("rel", tarfile.SYMTYPE, linkname="../../../../../..")
        .add("rel/escape2", data=b"through")
        .bytes(),
    )
    assert victim.read_text() == "safe" and os.listdir(base / "outside") == ["victim"]
    assert (diff / "escape1").exists() and (diff / "escape2").exists()
    assert not Path("/escape2").exists() and not (base / "escape1").exists()


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (Tar().add("up", tarfile.SYMTYPE, linkname="/nowhere/x").add("up/f", data=b"1").bytes(), "exists"),
        (Tar().add("h", tarfile.LNKTYPE, linkname="../../etc/passwd").bytes(), "No such file"),
        (Tar().add("f", data=b"x" * 5000).bytes()[:3000], "unexpected EOF"),
        (Tar().add("f", data=b"x" * 5000).bytes()[:700], "unexpected EOF"),
        (Tar().add("f").add("g", data=b"y").bytes()[:800], "unexpected EOF"),
        (b"not a tar archive" * 100, "invalid tar header"),
        (Tar().add("f").bytes()[:512] + b"garbage!" * 200, "invalid tar header"),
        (Tar().add(".wh...").bytes(), "invalid whiteout"),
        (gzip.compress(Tar().add("f", data=os.urandom(5000)).bytes())[:-2000], "unexpected EOF"),
    ],
)
def test_bad_archives_leave_nothing(layers: LayerStore, base: Path, archive: bytes, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        register(layers, base, archive)
    assert not os.listdir(base / "tmp") and not os.listdir(base / "layers" / "layers")


def test_a_wrong_diff_id_is_refused(layers: LayerStore, base: Path) -> None:
    (base / "archive").write_bytes(Tar().add("f").bytes())
    with pytest.raises(InvalidParameter, match='invalid diffID: expected "sha256:00"'):
        layers.register(base / "archive", "sha256:00")
    assert not os.listdir(base / "tmp")


@pytest.mark.parametrize("program", [["gzip"], ["bzip2"], ["xz"], ["zstd", "-q"]])
def test_compressed_layers_are_the_same_layer(layers: LayerStore, base: Path, program: list[str]) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed: apt-get install {program[0]}")
    archive = Tar().add("f", data=b"content" * 1000).bytes()
    (base / "archive").write_bytes(subprocess.run(program, input=archive, stdout=-1, check=True).stdout)
    layer = layers.register(base / "archive")
    assert layer.diff_id == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert (layer.size, layer.archive) == (7000, len(archive))
    with layers.archive(layer.diff_id) as back:
        assert back.read() == archive


async def test_concurrent_registrations_make_one_layer(layers: LayerStore, base: Path) -> None:
    (base / "archive").write_bytes(Tar().add("f", data=b"x").bytes())
    found = await asyncio.gather(*(asyncio.to_thread(layers.register, base / "archive") for _ in range(6)))
    assert len({layer.diff_id for layer in found}) == 1
    assert not os.listdir(base / "tmp") and len(os.listdir(base / "layers" / "layers")) == 1


def test_collecting_spares_what_is_pinned(layers: LayerStore, base: Path) -> None:
    register(layers, base, Tar().add("one").bytes())
    (base / "archive").write_bytes(Tar().add("two").bytes())
    two = layers.register(base / "archive").diff_id
    with layers.pinned([two]):
        layers.collect(set)
        assert len(os.listdir(base / "layers" / "layers")) == 1
    assert Path(layers.lower([two])[0], "two").exists()
    layers.collect(set)
    assert not os.listdir(base / "layers" / "layers") and not os.listdir(base / "layers" / "l")
    assert not os.listdir(base / "tmp")


# --- load, save, import


async def test_load_and_find(store: ImageStore, base: Path, busybox: bytes) -> None:
    told = await messages(store.load(stream(busybox)))
    assert told[0]["status"] == "Loading layer" and told[-1] == {"stream": "Loaded image: busybox:latest\n"}
    image = store.find("busybox")
    assert image.tags == ("busybox:latest",) and image.size > 500_000
    assert image == store.find(image.id) == store.find(image.id[7:19]) == store.find("busybox:latest")
    for absent, text in [("nosuch", "No such image: nosuch:latest"), ("f" * 64, f"sha256:{'f' * 64}")]:
        with pytest.raises(NotFound, match=text):
            store.find(absent)
    again = await messages(store.load(stream(gzip.compress(busybox)), quiet=True))
    assert again == [{"stream": "Loaded image: busybox:latest\n"}]
    assert store.history(image)[0]["Id"] == image.id and store.history(image)[0]["Size"] == image.size
    assert unfinished(base) == []
    assert open_store(base).find("busybox") == store.find("busybox")


async def test_save_and_load_elsewhere(store: ImageStore, base: Path, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    await store.tag("busybox", "registry:5000/review", "v1")
    archive = await collect(store.save(["busybox", "registry:5000/review:v1"]))
    assert archive == await collect(store.save(["busybox", "registry:5000/review:v1"]))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        repositories = json.load(tar.extractfile("repositories"))  # type: ignore[arg-type]
        for name in names:
            if name.startswith("blobs/sha256/"):
                content = tar.extractfile(name)
                assert content and hashlib.sha256(content.read()).hexdigest() == name[13:]
    assert {"index.json", "oci-layout"} <= set(names)
    assert manifest[0]["RepoTags"] == ["busybox:latest", "registry:5000/review:v1"]
    assert set(repositories) == {"busybox", "registry:5000/review"}
    other = open_store(base / "other")
    await messages(other.load(stream(archive)))
    assert other.find("registry:5000/review:v1").id == store.find("busybox").id
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        layout = Tar()
        for member in tar:
            if member.name not in ("manifest.json", "repositories"):
                layout.tar.addfile(member, tar.extractfile(member) if member.isreg() else None)
    third = open_store(base / "third")
    await messages(third.load(stream(layout.bytes())))
    assert third.find("busybox").id == store.find("busybox").id
    with pytest.raises(NotFound):
        await collect(store.save(["busybox", "nosuch"]))


async def test_save_is_read_by_skopeo(store: ImageStore, base: Path, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    (base / "saved.tar").write_bytes(await collect(store.save(["busybox"])))
    command = ["skopeo", "--insecure-policy", "inspect", "--config", f"docker-archive:{base}/saved.tar"]
    config = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert config["config"]["Cmd"] == ["sh"]


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"junk" * 400, "invalid tar header"),
        (Tar().add("x").bytes(), "invalid archive: does not contain a manifest.json"),
        (Tar().add("manifest.json", data=b"{").bytes(), "invalid archive: manifest.json"),
        (
            Tar().add("manifest.json", data=b'[{"Config":"c","RepoTags":null,"Layers":[]}]').bytes(),
            "invalid archive: c does not exist",
        ),
        (
            Tar().add("manifest.json", data=b'[{"Config":"c","Layers":[]}]').add("c", data=b"{}").bytes(),
            "no RootFS key",
        ),
        (
            Tar()
            .add("manifest.json", data=b'[{"Config":"c","Layers":["l"]}]')
            .add("c", data=b'{"rootfs":{"diff_ids":["sha256:00"]}}')
            .add("l", data=Tar().add("f").bytes())
            .bytes(),
            "invalid diffID",
        ),
    ],
)
async def test_bad_image_archives(store: ImageStore, base: Path, archive: bytes, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        await messages(store.load(stream(archive)))
    assert store.list() == [] and unfinished(base) == []
    assert not os.listdir(base / "images" / "layers")


async def test_import_makes_an_image_of_one_layer(store: ImageStore) -> None:
    archive = Tar().add("etc/x", data=b"1").bytes()
    told = await messages(store.import_(stream(archive), "imp", "v1", ['CMD ["/x"]', "ENV A=1"], ""))
    image = store.find("imp:v1")
    assert told == [{"status": image.id}]
    assert image.config["config"] == {"Cmd": ["/x"], "Env": ["A=1"]}
    assert image.config["history"][0]["comment"] == "Imported from -"
    with pytest.raises(InvalidParameter, match="ADD is not a valid change command"):
        await messages(store.import_(stream(archive), "", "", ["ADD a b"], ""))


async def test_a_moved_tag_is_told(store: ImageStore, busybox: bytes) -> None:
    await messages(store.import_(stream(Tar().add("f").bytes()), "busybox", "", [], "m"))
    old = store.find("busybox")
    told = await messages(store.load(stream(busybox), quiet=True))
    moved = f"already exists, renaming the old one with ID {old.id} to empty string"
    assert told[0] == {"stream": f"The image busybox:latest {moved}\n"}
    assert store.find(old.id).tags == ()


async def test_a_cancelled_load_leaves_nothing(store: ImageStore, base: Path, busybox: bytes) -> None:
    task = asyncio.create_task(messages(store.load(stream(busybox))))
    while not task.done() and not any(path.name.startswith("layer-") for path in unfinished(base)):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unfinished(base) == [] and store.list() == []
    assert open_store(base).list() == [] and os.listdir(base / "images" / "layers") == []


async def test_a_full_disk_leaves_nothing(tmp_path: Path, busybox: bytes) -> None:
    """Whatever does not fit any more: the archive, a layer of it, what is unpacked."""
    failed = set()
    disk = tmp_path / "disk"
    disk.mkdir()
    for room in range(len(busybox) // 2, 8 * len(busybox), len(busybox) // 2):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", disk], check=True)
        try:
            store = open_store(disk)
            await messages(store.load(stream(busybox)))
        except System as fault:
            assert "No space left on device" in fault.message
            failed.add(fault.message.partition(":")[0])
            assert unfinished(disk) == [] and store.list() == []
            assert not os.listdir(disk / "images" / "layers")
        else:
            assert [image.tags for image in store.list()]
            break
        finally:
            subprocess.run(["umount", disk], check=True)
    else:
        raise AssertionError("never room enough")
    assert len(failed) > 1, failed


# --- containers


async def test_a_container_from_prepare_to_commit(store: ImageStore, base: Path, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    image = store.find("busybox")
    root = await store.prepare("c1", "busybox")
    assert await store.prepare("c1", "busybox") == root
    with mounted(root) as target:
        assert all((target / stub).exists() for stub in ("etc/hosts", "dev/pts", "proc", ".dockerenv"))
        assert os.readlink(target / "etc/mtab") == "/proc/mounts"
        assert stat.S_IMODE((target / "tmp").stat().st_mode) == 0o1777
        assert await store.changes("c1", "busybox") == []
        (target / "new").mkdir()
        (target / "new/file").write_text("12345")
        os.setxattr(target / "new/file", "security.capability", CAPABILITY)
        (target / "etc/passwd").write_text("root\n")
        (target / "etc/group").unlink()
        shutil.rmtree(target / "var")
        (target / "var").mkdir()
        with pytest.raises(Conflict):
            await store.discard("c1")
        exported = await collect(store.export(str(target)))
        assert await store.writable_size("c1") == 10
        assert await store.changes("c1", "busybox") == [
            ("/etc", 0),
            ("/etc/group", 2),
            ("/etc/passwd", 0),
            ("/new", 1),
            ("/new/file", 1),
            ("/var", 0),
            ("/var/log", 2),
            ("/var/spool", 2),
            ("/var/tmp", 2),
            ("/var/www", 2),
        ]
        committed = await store.commit(
            container(image.id),
            Config(env=("A=1",), hostname="h"),
            changes=["EXPOSE 80"],
            repository="out",
            tag="",
            comment="why",
            author="me",
        )
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        assert "new/file" in tar.getnames() and "etc/group" not in tar.getnames()
        assert tar.getmember("bin/sh").linkname == "busybox"
    assert committed == store.find("out") and committed.parent == image.id
    assert committed.config["config"] == {"Env": ["A=1"], "ExposedPorts": {"80/tcp": {}}}
    top, below = store.history(committed)[:2]
    assert (top["Id"], top["Comment"], top["CreatedBy"]) == (committed.id, "why", "sh -c x")
    assert (below["Id"], below["Tags"]) == (image.id, ["busybox:latest"])
    with mounted(await store.prepare("c2", "out")) as target:
        assert (target / "new/file").read_text() == "12345"
        assert os.getxattr(target / "new/file", "security.capability") == CAPABILITY
        assert not (target / "etc/group").exists() and os.listdir(target / "var") == []
        assert (target / "bin/busybox").exists()
    for name in ("c1", "c2"):
        await store.discard(name)
        await store.discard(name)
    assert os.listdir(base / "rw") == [] == os.listdir(base / "rootfs")
    assert unfinished(base) == []


async def test_commit_without_changes_adds_no_layer(store: ImageStore, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    image = store.find("busybox")
    await store.prepare("c1", image.id)
    committed = await store.commit(
        container(image.id), Config(cmd=("a",)), repository="", tag="", comment="", author=""
    )
    assert committed.layers == image.layers and committed.id != image.id
    assert committed.config["history"][-1]["empty_layer"] is True
    assert store.history(committed)[0]["Size"] == 0


async def test_a_container_outlives_its_image(store: ImageStore, base: Path, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    image = store.find("busybox")
    root = await store.prepare("c1", image.id)
    used = [container(image.id)]
    with pytest.raises(Conflict, match="is using its referenced image"):
        await store.remove("busybox", force=False, prune=True, used=used)
    records = await store.remove("busybox", force=True, prune=True, used=used)
    assert list(records) == [("Untagged", "busybox:latest"), ("Deleted", image.id)]
    again = open_store(base)
    assert again.list() == []
    with mounted(await again.prepare("c1", image.id)) as target:
        assert (target / "bin/busybox").exists() and str(target) == root.target
    await again.discard("c1")
    assert os.listdir(base / "images" / "layers") == []


async def test_removal_deletes_files_and_prune_counts(store: ImageStore, base: Path, busybox: bytes) -> None:
    await messages(store.load(stream(busybox)))
    image = store.find("busybox")
    await store.tag(image.id, "other", "1")
    assert await store.remove("other:1", force=False, prune=True, used=[]) == [("Untagged", "other:1")]
    kept, none = await store.prune(dangling=True, used=[], accept=lambda i: True)
    assert (list(kept), none) == ([], 0)
    records, freed = await store.prune(dangling=False, used=[], accept=lambda i: True)
    assert [kind for kind, _ in records] == ["Untagged", "Deleted", "Deleted"] and freed == image.size
    for directory in ("layers", "configs", "l", "tmp"):
        assert os.listdir(base / "images" / directory) == []
    with pytest.raises(NotFound):
        await store.tag("busybox", "x", "")


async def test_changes_do_not_follow_links_of_an_image(store: ImageStore, base: Path) -> None:
    archive = Tar().add("link", tarfile.SYMTYPE, linkname="/etc").bytes()
    await messages(store.import_(stream(archive), "evil", "", [], ""))
    root = await store.prepare("c1", "evil")
    os.makedirs(f"{root.upper}/link")
    Path(root.upper, "link/passwd").touch()
    assert await store.changes("c1", "evil") == [("/link", 0), ("/link/passwd", 1)]


async def test_an_unfinished_operation_is_cleared_at_start(store: ImageStore, base: Path) -> None:
    (base / "images/tmp/layer-x/diff").mkdir(parents=True)
    (base / "images/configs/abc").touch()
    (base / "rw/.gone-1/upper").mkdir(parents=True)
    open_store(base)
    assert unfinished(base) == [] == os.listdir(base / "images/configs") == os.listdir(base / "rw")


async def test_deep_images_fit_a_page_of_mount_options(store: ImageStore, base: Path) -> None:
    config = Config()
    await messages(store.import_(stream(Tar().add("f0").bytes()), "deep", "", [], ""))
    for depth in range(1, 40):
        image = store.find("deep")
        root = await store.prepare("c", image.id)
        Path(root.upper, f"f{depth}").touch()
        await store.commit(container(image.id, "c"), config, repository="deep", tag="", comment="", author="")
        await store.discard("c")
    root = await store.prepare("c", "deep")
    assert max(len(os.path.basename(path)) for path in root.lower[1:]) <= 6
    with mounted(root) as target:
        assert all((target / f"f{n}").exists() for n in range(40))


# --- registries


@pytest.fixture
def loopback() -> Iterator[None]:
    """This thread, and so every process it starts, in a fresh network namespace with its loopback up."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(0x40000000) == 0  # CLONE_NEWNET
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        assert libc.setns(home, 0) == 0
        os.close(home)


@contextlib.contextmanager
def registry(base: Path) -> Iterator[str]:
    """Debian's docker-registry on a loopback port, filled by the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (base / "registry.yml").write_text(
        f"version: 0.1\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {base}/registry}}}}\n"
    )
    command = ["docker-registry", "serve", str(base / "registry.yml")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(address[10:])), 1):
                break
            subprocess.run(["sleep", "0.05"], check=True)
        yield address
    finally:
        server.kill()
        server.wait()


def push(base: Path, archive: bytes, target: str) -> None:
    (base / "push.tar").write_bytes(archive)
    command = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
    subprocess.run([*command, f"docker-archive:{base}/push.tar", f"docker://{target}"], check=True)


async def test_pull(loopback: None, store: ImageStore, base: Path, busybox: bytes) -> None:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    with registry(base) as address:
        name = f"{address}/lib/busybox"
        push(base, busybox, f"{name}:1")
        told = await messages(store.pull(name, "1", platform="", auth=None))
        statuses = [message["status"] for message in told]
        digest = statuses[-2].removeprefix("Digest: ")
        assert told[0] == {"status": "Pulling from lib/busybox", "id": "1"}
        assert statuses[1:-2] == ["Pulling fs layer", "Download complete", "Pull complete"]
        assert told[1]["progressDetail"] == {} and len(told[1]["id"]) == 12
        assert statuses[-1] == f"Status: Downloaded newer image for {name}:1"
        image = store.find(f"{name}:1")
        assert image.digests == (f"{name}@{digest}",) and image == store.find(f"{name}@{digest}")
        assert image.config["config"]["Cmd"] == ["sh"]
        again = await messages(store.pull(f"{name}:1", "", platform="linux/amd64", auth=None))
        assert again[-1]["status"] == f"Status: Image is up to date for {name}:1" and len(again) == 3
        await messages(store.pull(name, digest, platform="", auth=None))
        everything = await messages(store.pull(name, "", platform="", auth=None))
        assert everything[-1]["status"] == f"Status: Image is up to date for {name}:1"
        with pytest.raises(NotFound, match=rf"manifest for {name}:nosuch not found: manifest unknown"):
            await messages(store.pull(name, "nosuch", platform="", auth={"username": "u", "password": "p"}))
        with pytest.raises(NotFound, match="not found"):
            await messages(store.pull(f"{address}/nosuch", "latest", platform="", auth=None))
    with pytest.raises(System, match=r'Get "http://127\.0\.0\.1:\d+/v2/": dial tcp .* connection refused'):
        await messages(store.pull(name, "1", platform="", auth=None))
    assert unfinished(base) == []


async def test_pull_ends_when_nobody_answers(loopback: None, store: ImageStore, base: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        name = f"127.0.0.1:{silent.getsockname()[1]}/x"
        task = asyncio.create_task(messages(store.pull(name, "latest", platform="", auth=None)))
        (await asyncio.to_thread(silent.accept))[0].close()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert unfinished(base) == []


@contextlib.contextmanager
def private_registry(blobs: dict[str, bytes], manifests: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    """A registry for one repository that wants the user ``me`` with the password ``s3cret``."""
    expected = "Basic " + b64encode(b"me:s3cret").decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                text = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
                self.reply(401, "application/json", text, {"WWW-Authenticate": 'Basic realm="test"'})
            elif self.path == "/v2/":
                self.reply(200, "application/json", b"{}")
            elif "/manifests/" in self.path and self.path.rpartition("/")[2] in manifests:
                self.reply(200, *manifests[self.path.rpartition("/")[2]])
            elif "/blobs/" in self.path and self.path.rpartition("/")[2] in blobs:
                self.reply(200, "application/octet-stream", blobs[self.path.rpartition("/")[2]])
            else:
                self.reply(404, "application/json", b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

        def reply(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                **(headers or {}),
            }.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_pull_for_this_platform_with_credentials(loopback: None, base: Path) -> None:
    def digest(data: bytes) -> str:
        return "sha256:" + hashlib.sha256(data).hexdigest()

    layer = Tar().add("f", data=b"x").bytes()
    blob = gzip.compress(layer)
    config = json.dumps(
        {
            "architecture": "arm64",
            "os": "linux",
            "config": {"Healthcheck": {"Test": ["CMD", "x"]}},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    ).encode()
    docker = "application/vnd.docker"
    kind, list_kind = (
        f"{docker}.distribution.manifest.v2+json",
        f"{docker}.distribution.manifest.list.v2+json",
    )
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": f"{docker}.container.image.v1+json",
                "size": len(config),
                "digest": digest(config),
            },
            "layers": [
                {
                    "mediaType": f"{docker}.image.rootfs.diff.tar.gzip",
                    "size": len(blob),
                    "digest": digest(blob),
                }
            ],
        }
    ).encode()
    entry = {"mediaType": kind, "size": len(manifest), "digest": digest(manifest)}
    platform = {"os": "linux", "architecture": "arm64"}
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": list_kind, "manifests": [{**entry, "platform": platform}]}
    ).encode()
    manifests = {
        "v1": (list_kind, index),
        digest(index): (list_kind, index),
        digest(manifest): (kind, manifest),
    }
    store = ImageStore(base / "images", base / "rw", base / "rootfs", architecture="arm64")
    with private_registry({digest(blob): blob, digest(config): config}, manifests) as address:
        name = f"{address}/app"
        for auth in (None, {"username": "me", "password": "wrong"}):
            with pytest.raises(NotFound, match=rf"pull access denied for {name}, repository does not exist"):
                await messages(store.pull(name, "v1", platform="", auth=auth))
        good = {"username": "me", "password": "s3cret"}
        with pytest.raises(InvalidParameter, match="no matching manifest for linux/s390x"):
            await messages(store.pull(name, "v1", platform="linux/s390x", auth=good))
        told = await messages(store.pull(name, "v1", platform="", auth=good))
        assert told[-2] == {"status": f"Digest: {digest(index)}"}
        image = store.find(f"{name}:v1")
        assert image.id == digest(config) and "Healthcheck" in image.config["config"]
        assert image.digests == (f"{name}@{digest(index)}",)
    assert unfinished(base) == []
