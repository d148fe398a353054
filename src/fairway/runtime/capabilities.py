"""Which Linux capabilities a container gets.

Docker's rule (moby, ``oci/caps``): start from a default set of fourteen, or from all when ``ALL`` is added
or the container is privileged; take away what is dropped, add what is added; ``ALL`` dropped starts from
nothing. "All" means all that this daemon itself may hand on (its bounding set): a process cannot grant what
it lacks, and the OCI runtime would fail on it.
"""

from collections.abc import Collection, Sequence
from typing import Any

from fairway.model.errors import InvalidParameter

NAMES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
        "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
        "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
        "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
        "PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
"""By number, as in linux/capability.h."""

DEFAULT = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
        "SYS_CHROOT KILL AUDIT_WRITE"
    ).split()
)


def from_mask(mask: int) -> tuple[str, ...]:
    """Names of the bits set in a ``Cap*`` line of /proc/PID/status."""
    return tuple(name for number, name in enumerate(NAMES) if mask >> number & 1)


def chosen(
    added: Sequence[str], dropped: Sequence[str], *, privileged: bool, available: Collection[str]
) -> tuple[str, ...]:
    """The container's capabilities, in the kernel's order. Raises InvalidParameter with Docker's texts."""
    if privileged:
        return tuple(name for name in NAMES if name in available)
    add = _normalised(added, available, "CapAdd")
    drop = _normalised(dropped, NAMES, "CapDrop")
    if "ALL" in add:
        base = set(available) - drop
    elif "ALL" in drop:
        base = add
    else:
        base = (set(DEFAULT) - drop) | add
    return tuple(name for name in NAMES if name in base and name in available)


def _normalised(names: Sequence[str], available: Collection[str], field: str) -> set[str]:
    result = set()
    for name in names:
        upper = name.upper()
        if upper == "ALL":
            result.add(upper)
            continue
        full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
        if full not in NAMES:
            raise InvalidParameter(f'invalid {field}: unknown capability: "{name}"')
        if full not in available:
            raise InvalidParameter(
                f"invalid {field}: capability not supported by your kernel or not available in the current "
                f'environment: "{full}"'
            )
        result.add(full)
    return result


def oci(names: Sequence[str], uid: int) -> dict[str, Any]:
    """The OCI ``process.capabilities``. Users other than root start with none effective (execve(2))."""
    held = list(names)
    if uid == 0:
        return {"bounding": held, "effective": held, "permitted": held}
    return {"bounding": held}
