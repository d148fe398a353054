"""Servers as text, and following the host's resolv.conf."""

import os
import socket
from pathlib import Path

import pytest

from fairway.dns.upstreams import HostServers, Server, parse_resolv_conf, parse_server
from fairway.model.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", Server(socket.AF_INET, ("192.0.2.1", 53))),
        ("192.0.2.1:5353", Server(socket.AF_INET, ("192.0.2.1", 5353))),
        ("fd00::1", Server(socket.AF_INET6, ("fd00::1", 53, 0, 0))),
        ("[fd00::1]", Server(socket.AF_INET6, ("fd00::1", 53, 0, 0))),
        ("[fd00::1]:5353", Server(socket.AF_INET6, ("fd00::1", 5353, 0, 0))),
        ("fe80::1%lo", Server(socket.AF_INET6, ("fe80::1", 53, 0, socket.if_nametoindex("lo")))),
    ],
)
def test_servers(text: str, server: Server) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text",
    [
        *("", "dns.example", "192.0.2.1:0", "192.0.2.1:99999", "192.0.2.1:x", "[fd00::1", "[fd00::1]x"),
        *("a..b", "x" * 70, "a\0b", "\udc80", "192.0.2.1:" + "9" * 5000),
    ],
)
def test_bad_servers(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid DNS server"):
        parse_server(text)


def test_resolv_conf() -> None:
    conf = parse_resolv_conf(
        "# comment\n; another\n\nnameserver 192.0.2.1 # main\nnameserver nonsense\nnameserver\n"
        "domain old.example\nsearch a.example b.example\noptions ndots:2\noptions timeout:1 rotate\n"
        "  nameserver fd00::1\n"
    )
    assert conf.servers == (parse_server("192.0.2.1"), parse_server("fd00::1"))
    assert conf.search == ("a.example", "b.example")
    assert conf.options == ("ndots:2", "timeout:1", "rotate")
    assert parse_resolv_conf("search .").search == ()


def test_the_hosts_servers_are_followed(tmp_path: Path) -> None:
    path, now = tmp_path / "resolv.conf", [10.0]
    host = HostServers(str(path), lambda: now[0])
    assert host.servers() == ()
    path.write_text("nameserver 192.0.2.1\n")
    assert host.servers() == (), "looked at a moment ago"
    now[0] += 1
    assert host.servers() == (parse_server("192.0.2.1"),)
    replacement = tmp_path / "new"
    replacement.write_text("".join(f"nameserver 192.0.2.{i}\n" for i in range(2, 9)))
    replacement.rename(path)
    now[0] += 1
    assert host.servers() == tuple(parse_server(f"192.0.2.{i}") for i in (2, 3, 4))
    path.unlink()
    now[0] += 1
    assert host.servers() == ()


def test_an_unreadable_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, now = tmp_path / "resolv.conf", [10.0]
    path.write_text("nameserver 192.0.2.1\n")
    host = HostServers(str(path), lambda: now[0])
    before = host.servers()
    path.unlink()
    os.mkdir(path)
    now[0] += 1
    assert host.servers() == before
    assert "cannot read" in capsys.readouterr().err
