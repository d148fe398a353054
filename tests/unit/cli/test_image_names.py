"""Image names, familiar and full."""

import pytest

from fairway.cli.reference import Reference
from fairway.model.errors import InvalidParameter

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("team/app", "docker.io/team/app:latest", "team/app:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("registry:5000/review", "registry:5000/review:latest", "registry:5000/review:latest"),
        ("localhost/a:b", "localhost/a:b", "localhost/a:b"),
        (f"a@{DIGEST}", f"docker.io/library/a@{DIGEST}", f"a@{DIGEST}"),
    ],
)
def test_names(text: str, full: str, familiar: str) -> None:
    found = Reference.require(text)
    assert (found.full, found.familiar) == (full, familiar)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("BUSY", r"repository name \(library/BUSY\) must be lowercase"),
        ("a b", "invalid reference format$"),
        ("a:b:c", "invalid reference format"),
        ("a@sha256:1", "invalid reference format"),
        ("0" * 64, "cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_no_names(text: str, problem: str) -> None:
    assert Reference.parse(text) is None
    with pytest.raises(InvalidParameter, match=problem):
        Reference.require(text)
