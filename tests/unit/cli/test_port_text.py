"""The PORTS column."""

from typing import Any

import pytest

from fairway.cli.port_text import ports_text


def port(private: int, public: int = 0, address: str = "", kind: str = "tcp") -> dict[str, Any]:
    found: dict[str, Any] = {"PrivatePort": private, "Type": kind}
    return found | {"PublicPort": public, "IP": address} if address else found


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(8082), port(8082, 32768, "127.0.0.1", "udp")], "8082/tcp, 127.0.0.1:32768->8082/udp"),
        ([port(p, p, "0.0.0.0") for p in (82, 80, 81)], "0.0.0.0:80-82->80-82/tcp"),
        ([port(p) for p in (1, 2, 4)], "1-2/tcp, 4/tcp"),
        (
            [port(5000, 5001, "0.0.0.0"), port(80, 5002, "0.0.0.0")],
            "0.0.0.0:5002->80/tcp, 0.0.0.0:5001->5000/tcp",
        ),
        ([port(80, 80, "0.0.0.0"), port(80, 80, "0.0.0.0", "udp")], "0.0.0.0:80->80/tcp, 0.0.0.0:80->80/udp"),
    ],
)
def test_ports(ports: list[dict[str, Any]], text: str) -> None:
    assert ports_text(ports) == text
