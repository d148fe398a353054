"""The grammar of image references, its two spellings, and Docker's texts for what is wrong."""

import pytest

from fairway.model.errors import InvalidParameter
from fairway.model.reference import parse, short, tagged

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("user/app:v1", "docker.io/user/app:v1", "user/app:v1"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("registry:5000/review", "registry:5000/review", "registry:5000/review"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
        ("Uppercase/app", "Uppercase/app", "Uppercase/app"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"a.b/c:t@{DIGEST}", f"a.b/c:t@{DIGEST}", f"a.b/c:t@{DIGEST}"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
    ],
)
def test_both_spellings(text: str, canonical: str, familiar: str) -> None:
    found = parse(text)
    assert (str(found), found.familiar) == (canonical, familiar)
    assert parse(canonical) == parse(familiar) == found


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("busybox:", "invalid reference format"),
        ("busybox:" + "t" * 129, "invalid reference format"),
        ("busybox@sha256:abcd", "invalid reference format"),
        ("busybox@sha256:" + "a" * 40, "invalid checksum digest length"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("a/Foo:x", "invalid reference format: repository name (a/Foo) must be lowercase"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        (
            "ab" * 32,
            f"invalid repository name ({'ab' * 32}), cannot specify 64-byte hexadecimal strings",
        ),
        ("busybox\n", "invalid reference format"),
    ],
)
def test_refusals(text: str, error: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse(text)
    assert caught.value.message == error


def test_default_tag_only_without_tag_and_digest() -> None:
    assert parse("a").with_default_tag().familiar == "a:latest"
    assert parse("a:1").with_default_tag().familiar == "a:1"
    assert parse(f"a@{DIGEST}").with_default_tag().familiar == f"a@{DIGEST}"


def test_target_of_a_tag() -> None:
    assert tagged("a", "").familiar == "a:latest"
    assert tagged("a:1", "").familiar == "a:1"
    assert tagged("a:1", "2").familiar == "a:2"
    with pytest.raises(InvalidParameter, match="invalid tag format"):
        tagged("a", "-x")
    with pytest.raises(InvalidParameter, match="refusing to create a tag with a digest reference"):
        tagged(f"a@{DIGEST}", "")


def test_short_form_of_ids() -> None:
    assert short(DIGEST) == "abababababab" == short("ab" * 32)
