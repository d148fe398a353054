"""Debian's dockerd, unpacked beside the system instead of installed: no service starts, nothing is changed.

``apt-get download`` into ``~/.cache/fairway-bench`` once, ``dpkg-deb -x``, and the directory is used as it
is. iptables and runc come from the system.
"""

import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "fairway-bench"
PACKAGES = ("docker.io", "containerd")
NEEDED = ("iptables", "runc")
"""Programs that dockerd starts and that the unpacked packages do not hold."""


class Unavailable(Exception):
    """There is no dockerd to compare with; the text says why."""


def dockerd_path() -> str:
    """A ``PATH`` with dockerd, containerd and docker; fetches them at the first time. Raises Unavailable."""
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)} (apt-get install {' '.join(missing)})")
    root = CACHE / "root"
    if not (root / "usr/sbin/dockerd").exists():
        _fetch(root)
    path = f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}"
    done = _run(["dockerd", "--version"], env=os.environ | {"PATH": path})
    if done.returncode:
        raise Unavailable(f"dockerd does not run: {_last_line(done)}")
    return path


def _fetch(root: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("dockerd is fetched with apt-get and unpacked with dpkg-deb: not a Debian system")
    CACHE.mkdir(parents=True, exist_ok=True)
    done = _run(["apt-get", "download", "-q", *PACKAGES], cwd=CACHE)
    if done.returncode:
        raise Unavailable(f"apt-get download {' '.join(PACKAGES)}: {_last_line(done)}")
    partial = CACHE / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    for package in sorted(CACHE.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, partial], check=True)
        package.unlink()
    # Renamed last: an interrupted run must not leave half a package that looks whole.
    partial.rename(root)


def _run(
    command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return next(reversed(done.stdout.strip().splitlines()), f"exit status {done.returncode}")
