"""What is decided about a registry without talking to it: credentials, plain HTTP, texts of errors."""

import base64
import json

import pytest

from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.model.reference import parse
from fairway.runtime.images.registry import auth_file, fault, insecure_registry, server


def test_credentials_are_for_one_registry() -> None:
    found = json.loads(auth_file("r:5000", {"username": "u", "password": "p:q", "serveraddress": "x"}))
    assert found == {"auths": {"r:5000": {"auth": base64.b64encode(b"u:p:q").decode()}}}
    assert json.loads(auth_file("r", None)) == json.loads(auth_file("r", {})) == {"auths": {}}
    assert json.loads(auth_file("r", {"identitytoken": "t"}))["auths"]["r"]["identitytoken"] == "t"
    with pytest.raises(InvalidParameter):
        auth_file("r", {"registrytoken": "t"})


@pytest.mark.parametrize(
    ("domain", "configured", "expected"),
    [
        ("localhost:5000", (), True),
        ("127.9.0.1:80", (), True),
        ("[::1]:5000", (), True),
        ("docker.io", (), False),
        ("10.0.0.1:5000", (), False),
        ("10.0.0.1:5000", ("10.0.0.0/8",), True),
        ("reg:5000", ("reg:5000",), True),
        ("reg:5000", ("reg",), True),
        ("reg:5000", ("10.0.0.0/8",), False),
        ("localhost.example.com", (), False),
    ],
)
def test_plain_http(domain: str, configured: tuple[str, ...], expected: bool) -> None:
    assert insecure_registry(domain, configured) is expected


def test_the_host_behind_a_domain() -> None:
    assert server(parse("busybox").domain) == "registry-1.docker.io"
    assert server("reg:5000") == "reg:5000"


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        (
            "reading manifest 1 in docker.io/a/b: manifest unknown: manifest unknown",
            NotFound,
            "manifest for a/b:1 not found: manifest unknown: manifest unknown",
        ),
        (
            "reading manifest 1 in docker.io/a/b: name unknown: repository name not known to registry",
            NotFound,
            "repository a/b not found: name unknown: repository name not known to registry",
        ),
        (
            "reading manifest 1 in docker.io/a/b: requested access to the resource is denied",
            NotFound,
            "pull access denied for a/b, repository does not exist or may require 'docker login': "
            "denied: requested access to the resource is denied",
        ),
        (
            'pinging container registry x: Get \\"https://x/v2/\\": dial tcp: lookup x: no such host',
            System,
            'Get "https://x/v2/": dial tcp: lookup x: no such host',
        ),
    ],
)
def test_errors_in_docker_words(said: str, kind: type, text: str) -> None:
    found = fault(parse("a/b:1"), f'time="now" level=fatal msg="{said}"\n')
    assert (type(found), found.message) == (kind, text)
