"""Docker's seccomp profile → the OCI one, for given capabilities, machine and kernel."""

from typing import Any

import msgspec
import pytest

from fairway.model.errors import InvalidParameter
from fairway.runtime import machine, seccomp

PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "includes": {}, "excludes": {}},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {
            "names": ["bpf"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 1,
            "excludes": {"caps": ["CAP_SYS_ADMIN"]},
        },
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
        },
    ],
}


def convert(caps: set[str], arch: str = "x86_64", kernel: tuple[int, int] = (6, 18)) -> dict[str, Any]:
    return seccomp.convert(seccomp.parse(msgspec.json.encode(PROFILE)), caps, arch, kernel)


def actions(result: dict[str, Any]) -> dict[str, str]:
    return {rule["names"][0]: rule["action"] for rule in result["syscalls"]}


def test_everything_that_applies() -> None:
    result = convert(set())
    assert result["defaultErrnoRet"] == 38
    assert result["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert actions(result) == {
        "read": "SCMP_ACT_ALLOW",
        "bpf": "SCMP_ACT_ERRNO",
        "arch_prctl": "SCMP_ACT_ALLOW",
        "ptrace": "SCMP_ACT_ALLOW",
        "personality": "SCMP_ACT_ALLOW",
    }
    assert result["syscalls"][0] == {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    assert result["syscalls"][1]["errnoRet"] == 1
    assert result["syscalls"][-1]["args"] == [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]


def test_architectures_left_out() -> None:
    profile = seccomp.parse(msgspec.json.encode(PROFILE))
    result = seccomp.convert(profile, set(), "x86_64", (6, 18), {"SCMP_ARCH_X86"})
    assert result["architectures"] == ["SCMP_ARCH_X86_64"]


def test_by_capability_architecture_and_kernel() -> None:
    assert actions(convert({"CAP_SYS_ADMIN"}))["bpf"] == "SCMP_ACT_ALLOW"
    arm = convert(set(), "aarch64")
    assert arm["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert "arch_prctl" not in actions(arm)
    assert "ptrace" not in actions(convert(set(), kernel=(4, 7)))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"syscalls": []}', '{"defaultAction": 1}'])
def test_not_a_profile(text: str) -> None:
    with pytest.raises(InvalidParameter, match="decoding seccomp profile failed"):
        seccomp.parse(text)


@pytest.mark.skipif(not machine.SECCOMP_PROFILE.exists(), reason="no default profile installed")
def test_the_default_profile() -> None:
    profile = seccomp.parse(machine.SECCOMP_PROFILE.read_bytes())
    result = seccomp.convert(profile, {"CAP_SYS_CHROOT"}, "x86_64", (6, 18))
    by_name = {name: rule["action"] for rule in result["syscalls"] for name in rule["names"]}
    assert by_name["clone3"] == "SCMP_ACT_ALLOW"
    assert by_name["chroot"] == "SCMP_ACT_ALLOW"
    assert by_name["settimeofday"] == "SCMP_ACT_ERRNO"
