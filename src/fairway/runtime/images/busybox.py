"""An image made on the spot from a static busybox: for demonstrations and tests without a registry.

``python -m fairway.runtime.images.busybox [BUSYBOX [NAME…]] > busybox.tar && docker load -i busybox.tar``
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fairway.model.errors import InvalidParameter

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CREATED = "2024-01-01T00:00:00Z"
_MTIME = 1704067200
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_DIRECTORIES = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "mnt", "proc", "run", "sbin", "sys", "usr", "var"), 0o755),
    **dict.fromkeys(("usr/bin", "usr/sbin", "var/log", "var/spool", "var/www", "www"), 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "www-data:x:33:33:www-data:/var/www:/bin/false\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "www/index.html": "busybox\n",
}


def architecture() -> str:
    """This machine's, in Go's words (OCI image spec, config.md): ``amd64``, ``arm64``."""
    machine = os.uname().machine
    return _MACHINES.get(machine, machine)


def make_busybox_image(
    busybox: Path, *, names: Sequence[str] = ("busybox:latest",), command: Sequence[str] = ("sh",)
) -> bytes:
    """An archive for ``docker load`` with one layer: the program, a link for each applet, a minimal ``/etc``.

    The same program gives the same image id. Raises InvalidParameter when it is linked dynamically.
    """
    layer = _layer(busybox)
    diff_id = hashlib.sha256(layer).hexdigest()
    config = msgspec.json.encode(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": _CREATED,
            "config": {"Env": [_PATH], "Cmd": list(command)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created": _CREATED, "created_by": "busybox"}],
        }
    )
    config_id = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{config_id}.json", "RepoTags": list(names), "Layers": [f"{diff_id}/layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, f"{config_id}.json", config)
        _add(archive, f"{diff_id}/layer.tar", layer)
        _add(archive, "manifest.json", msgspec.json.encode(manifest))
    return buffer.getvalue()


def _layer(busybox: Path) -> bytes:
    program = busybox.read_bytes()
    if b"\0/lib" in program[:4096] or b"ld-linux" in program[:4096]:
        raise InvalidParameter(f"{busybox} is linked dynamically; a static busybox is needed")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, mode in _DIRECTORIES.items():
            _add(archive, name, kind=tarfile.DIRTYPE, mode=mode)
        _add(archive, "bin/busybox", program, mode=0o755)
        for applet in sorted(set(applets) - {"busybox"}):
            _add(archive, f"bin/{applet}", kind=tarfile.SYMTYPE, mode=0o777, link="busybox")
        for name, text in _FILES.items():
            _add(archive, name, text.encode())
    return buffer.getvalue()


def _add(
    archive: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname, entry.size, entry.mtime = kind, mode, link, len(data), _MTIME
    archive.addfile(entry, io.BytesIO(data))


def main() -> None:
    """Write the image of ``/bin/busybox``, or the one named, to stdout."""
    busybox = Path(sys.argv[1] if len(sys.argv) > 1 else "/bin/busybox")
    sys.stdout.buffer.write(make_busybox_image(busybox, names=sys.argv[2:] or ("busybox:latest",)))


if __name__ == "__main__":
    main()
