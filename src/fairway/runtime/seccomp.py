"""From Docker's seccomp profile format to the one of the OCI specification.

Docker's format (``profiles/seccomp`` in moby, shared by containers/common) lists rules with conditions:
``includes``/``excludes`` by capability, architecture and least kernel version. The OCI format has no
conditions, so they are decided here, for the capabilities that this container gets. A profile given by the
user (``--security-opt seccomp=<json>``) goes the same way; plain OCI profiles have no conditions and come
out as they went in.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from fairway.model.errors import InvalidParameter

ARCHITECTURES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
}
"""Machine (uname(2)) → name in conditions (Go's), name in profiles (libseccomp's)."""


class Condition(msgspec.Struct, frozen=True):
    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str = msgspec.field(default="", name="minKernel")


class Argument(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    index: int
    value: int
    op: str
    value_two: int = 0


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    names: tuple[str, ...] = ()
    name: str = ""
    args: tuple[Argument, ...] | None = None
    errno_ret: int | None = None
    includes: Condition = Condition()
    excludes: Condition = Condition()


class ArchMap(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    arch_map: tuple[ArchMap, ...] = ()
    flags: tuple[str, ...] = ()
    syscalls: tuple[Rule, ...] = ()


def parse(text: bytes | str) -> Profile:
    """Decode a profile. Raises InvalidParameter for what is not one."""
    try:
        return msgspec.json.decode(text, type=Profile)
    except msgspec.DecodeError as error:
        raise InvalidParameter(f"decoding seccomp profile failed: {error}") from error


def convert(
    profile: Profile,
    caps: Collection[str],
    machine: str,
    kernel: tuple[int, int],
    without: Collection[str] = (),
) -> dict[str, Any]:
    """The OCI ``linux.seccomp`` for a container with ``caps`` on ``machine``; kernel is (major, minor).

    ``without`` are architectures that this kernel cannot run: leaving them out makes the filter smaller.
    """
    go_name, native = ARCHITECTURES.get(machine, (machine, ""))
    result: dict[str, Any] = {"defaultAction": profile.default_action}
    if profile.default_errno_ret is not None:
        result["defaultErrnoRet"] = profile.default_errno_ret
    architectures = profile.architectures or _architectures(profile.arch_map, native)
    if kept := [name for name in architectures if name not in without]:
        result["architectures"] = kept
    if profile.flags:
        result["flags"] = list(profile.flags)
    result["syscalls"] = [
        _oci_rule(rule)
        for rule in profile.syscalls
        if _included(rule.includes, caps, go_name, kernel)
        and not _excluded(rule.excludes, caps, go_name, kernel)
    ]
    return result


def _architectures(mapping: Collection[ArchMap], native: str) -> tuple[str, ...]:
    for entry in mapping:
        if entry.architecture == native:
            return (entry.architecture, *(entry.sub_architectures or ()))
    return (native,) if mapping and native else ()


def _included(condition: Condition, caps: Collection[str], arch: str, kernel: tuple[int, int]) -> bool:
    if condition.arches and arch not in condition.arches:
        return False
    if condition.caps and not all(cap in caps for cap in condition.caps):
        return False
    return not condition.min_kernel or kernel >= _version(condition.min_kernel)


def _excluded(condition: Condition, caps: Collection[str], arch: str, kernel: tuple[int, int]) -> bool:
    if condition.arches and arch in condition.arches:
        return True
    if condition.caps and any(cap in caps for cap in condition.caps):
        return True
    return bool(condition.min_kernel) and kernel >= _version(condition.min_kernel)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise InvalidParameter(f'decoding seccomp profile failed: invalid kernel version "{text}"')
    return int(major), int(minor)


def _oci_rule(rule: Rule) -> dict[str, Any]:
    result: Mapping[str, Any] = {
        "names": list(rule.names or (rule.name,)),
        "action": rule.action,
        "args": msgspec.to_builtins(list(rule.args or ())),
        "errnoRet": rule.errno_ret,
    }
    return {key: value for key, value in result.items() if value not in (None, [])}
