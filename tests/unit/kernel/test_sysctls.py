"""Sysctls of a kernel that lacks what they are about."""

from pathlib import Path

import pytest

from fairway.kernel import sysctls
from fairway.kernel.namespaces import Namespaces
from fairway.model.errors import System
from fairway.plan import HOST, Sysctl


def test_what_switches_ipv6_off_holds_without_ipv6(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysctls, "_ROOT", tmp_path)
    namespaces = Namespaces(None)
    try:
        for key, value in (("accept_ra", "0"), ("disable_ipv6", "1")):
            assert not sysctls.write(namespaces, Sysctl(HOST, f"net/ipv6/conf/br0/{key}", value))
        with pytest.raises(System, match="this kernel does not have it"):
            sysctls.write(namespaces, Sysctl(HOST, "net/ipv6/conf/br0/accept_ra", "1"))
        (tmp_path / "net/ipv6").mkdir(parents=True)
        with pytest.raises(System, match="this kernel does not have it"):
            sysctls.write(namespaces, Sysctl(HOST, "net/ipv6/conf/br0/accept_ra", "0"))
    finally:
        namespaces.close()
