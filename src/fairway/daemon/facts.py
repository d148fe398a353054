"""What ``/info`` and ``/version`` tell about this host."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from fairway.engine.settings import Settings
from fairway.model.system import SystemFacts
from fairway.runtime import command
from fairway.runtime.runtime import OciRuntime


def host_facts(settings: Settings, runtime: OciRuntime, started: int) -> Callable[[], SystemFacts]:
    """A function that looks again, at each call, at what can change."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    conmon, runtimes = _conmon_version(), _runtimes()

    def facts() -> SystemFacts:
        forwarding = _flag("/proc/sys/net/ipv4/ip_forward")
        warnings = () if forwarding else ("WARNING: IPv4 forwarding is disabled",)
        return SystemFacts(
            id=settings.id,
            name=platform.node(),
            data_root=settings.data_root,
            exec_root=settings.exec_root,
            runtime_name=runtime.name,
            runtime_path=runtime.path,
            runtime_version=runtime.version,
            runtimes=runtimes,
            conmon_version=conmon,
            kernel=platform.release(),
            os=system,
            arch=platform.machine(),
            cpus=os.cpu_count() or 1,
            memory=memory,
            ipv4_forwarding=forwarding,
            bridge_nf_iptables=_flag("/proc/sys/net/bridge/bridge-nf-call-iptables"),
            cgroup_version="2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "1",
            labels=settings.labels,
            address_pools=settings.address_pools,
            warnings=warnings,
            started=started,
            debug=settings.debug,
        )

    return facts


def _flag(path: str) -> bool:
    try:
        return Path(path).read_text().strip() == "1"
    except FileNotFoundError:
        return False


def _runtimes() -> dict[str, str]:
    where = command.ENVIRONMENT["PATH"]
    return {name: path for name in ("crun", "runc") if (path := shutil.which(name, path=where))}


def _conmon_version() -> str:
    words = [command.find("conmon", "conmon"), "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].removeprefix("conmon version ").strip() if done.stdout else ""
