"""``-p`` and ``--expose``."""

import pytest

from fairway.cli.ports import exposed, published
from fairway.model.errors import InvalidParameter


def binding(port: str, address: str = "") -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


@pytest.mark.parametrize(
    ("spec", "bindings"),
    [
        ("80", {"80/tcp": [binding("")]}),
        ("8080:80", {"80/tcp": [binding("8080")]}),
        ("8080:80/UDP", {"80/udp": [binding("8080")]}),
        ("127.0.0.1::80/sctp", {"80/sctp": [binding("", "127.0.0.1")]}),
        ("127.0.0.1:1:2", {"2/tcp": [binding("1", "127.0.0.1")]}),
        ("[::1]:1:2", {"2/tcp": [binding("1", "::1")]}),
        ("::1:1:2", {"2/tcp": [binding("1", "::1")]}),
        ("8000-8001:80-81", {"80/tcp": [binding("8000")], "81/tcp": [binding("8001")]}),
        ("80-81", {"80/tcp": [binding("")], "81/tcp": [binding("")]}),
        ("8000-8009:80", {"80/tcp": [binding("8000-8009")]}),
        ("published=8080,target=80,protocol=udp", {"80/udp": [binding("8080")]}),
    ],
)
def test_bindings(spec: str, bindings: dict[str, list[dict[str, str]]]) -> None:
    assert published([spec]) == (list(bindings), bindings)


def test_one_port_may_be_published_twice() -> None:
    ports, bindings = published(["80:80", "81:80"])
    assert ports == ["80/tcp"]
    assert bindings == {"80/tcp": [binding("80"), binding("81")]}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("abc", "invalid containerPort: abc"),
        ("80:abc", "invalid containerPort: abc"),
        ("80:0-", "invalid containerPort: 0-"),
        ("2-1", "invalid containerPort: 2-1"),
        ("70000", "invalid containerPort: 70000"),
        ("x:80", "invalid hostPort: x"),
        ("80:80/foo", "invalid proto: foo"),
        ("1.2.3:1:2", "invalid IP address: 1.2.3"),
        ("[fe80::1%eth0]:1:2", "invalid IP address: fe80::1%eth0"),
        (
            "8190-8192:8082-8083",
            "invalid ranges specified for container and host Ports: 8082-8083 and 8190-8192",
        ),
        ("80:", "no port specified: 80:<empty>"),
        ("target=80,x", "invalid publish opts format (should be name=value but got 'x')"),
    ],
)
def test_refused(spec: str, problem: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        published([spec])
    assert caught.value.message == problem


def test_expose() -> None:
    assert exposed(["80", "53/udp", "1-3/tcp"]) == ["80/tcp", "53/udp", "1/tcp", "2/tcp", "3/tcp"]
    with pytest.raises(InvalidParameter, match="invalid port format for --expose: 1:2"):
        exposed(["1:2"])
    with pytest.raises(
        InvalidParameter, match=r"invalid range format for --expose: x, error: strconv\.ParseUint"
    ):
        exposed(["x"])
