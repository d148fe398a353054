"""Which ports a host has free, asked of the real kernel: by family, protocol and address."""

import socket

import pytest

from fairway.kernel.namespaces import Namespaces
from fairway.model.address import Address
from netns_host import NetnsHost
from thread_host import in_thread

pytestmark = pytest.mark.root
V4, V6, LOCAL = Address("0.0.0.0"), Address("::"), Address("127.0.0.1")


def listening(host: NetnsHost, address: str, kind: int) -> socket.socket:
    """A process of the host that has port 8080."""

    def make() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        namespaces = Namespaces(host.file)
        try:
            with namespaces.inside(host.file):
                made = socket.socket(family, kind)
        finally:
            namespaces.close()
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, 8080))
        if kind == socket.SOCK_STREAM:
            made.listen()
        return made

    return in_thread(make)


@pytest.mark.parametrize(
    ("address", "kind", "free"),
    [
        ("0.0.0.0", socket.SOCK_STREAM, [False, True, False, True]),
        ("127.0.0.1", socket.SOCK_STREAM, [False, True, False, True]),
        ("127.0.0.2", socket.SOCK_STREAM, [False, True, True, True]),
        ("::", socket.SOCK_STREAM, [True, False, True, True]),
        ("::1", socket.SOCK_STREAM, [True, False, True, True]),
        ("0.0.0.0", socket.SOCK_DGRAM, [True, True, True, False]),
    ],
)
async def test_a_port_that_a_process_has_is_not_free(
    host: NetnsHost, address: str, kind: int, free: list[bool]
) -> None:
    asked = [("tcp", V4, 8080), ("tcp", V6, 8080), ("tcp", LOCAL, 8080), ("udp", V4, 8080)]
    kernel = host.kernel()
    try:
        assert await kernel.ports_free(asked) == [True] * 4
        with listening(host, address, kind):
            assert await kernel.ports_free(asked) == free
        assert (
            await kernel.ports_free([*asked, ("sctp", V4, 8080), ("tcp", Address("192.0.2.1"), 1)])
            == [True] * 6
        )
    finally:
        await kernel.close()
