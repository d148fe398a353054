import pytest

from fairway.api import filters, references
from fairway.api.versions import negotiate
from fairway.model.errors import InvalidParameter

NAMES = {"label", "name", "dangling", "until", "label!"}


@pytest.mark.parametrize("text", ['{"name":["a","b"]}', '{"name":{"a":true,"b":true}}'])
def test_both_spellings(text: str) -> None:
    assert sorted(filters.parse(text, NAMES).get("name")) == ["a", "b"]


@pytest.mark.parametrize("text", ["x", "[]", '{"name":"a"}', '{"name":[1]}', '"a"'])
def test_what_is_no_filter_map(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        filters.parse(text, NAMES)
    assert caught.value.message == "invalid filter"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidParameter) as caught:
        filters.parse('{"foo":["x"]}', NAMES)
    assert caught.value.message == "invalid filter 'foo'"


def test_comparisons() -> None:
    wanted = filters.parse('{"name":["^we","("],"label":["a","b=c"]}', NAMES)
    assert wanted.match("name", "web")
    assert wanted.match("name", "(")
    assert not wanted.match("name", "newest")
    assert not wanted.exact("name", ("web",))
    assert wanted.labels({"a": "", "b": "c"})
    assert not wanted.labels({"a": "", "b": "d"})
    assert wanted.exact("dangling", ("anything",)), "a filter not given admits all"


def test_booleans() -> None:
    assert filters.parse('{"dangling":["true"]}', NAMES).boolean("dangling") is True
    assert filters.parse('{"dangling":["0"]}', NAMES).boolean("dangling") is False
    assert filters.parse("", NAMES).boolean("dangling") is None
    for bad in ('{"dangling":["maybe"]}', '{"dangling":["true","false"]}'):
        with pytest.raises(InvalidParameter):
            filters.parse(bad, NAMES).boolean("dangling")


def test_prune() -> None:
    wanted = filters.parse('{"until":["10s"],"label":["a"],"label!":["b=c"]}', NAMES)
    which = filters.prune(wanted, 100_000_000_000)
    assert (which.until, which.labels, which.not_labels) == (90_000_000_000, ("a",), ("b=c",))


@pytest.mark.parametrize(("asked", "version"), [("1.24", (1, 24)), ("1.51", (1, 51)), ("1.43", (1, 43))])
def test_versions(asked: str, version: tuple[int, int]) -> None:
    assert negotiate(asked) == version


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            "1.20",
            "client version 1.20 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("1.99", "client version 1.99 is too new. Maximum supported API version is 1.51"),
        ("2", "client version 2 is too new. Maximum supported API version is 1.51"),
        ("..", "invalid API version '..'"),
    ],
)
def test_versions_out_of_range(asked: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        negotiate(asked)
    assert caught.value.message == text


def test_image_names() -> None:
    assert references.image("busybox", "") == ("busybox", "latest")
    assert references.image("docker.io/library/busybox:1", "") == ("busybox", "1")
    assert references.image("a/b", "sha256:" + "0" * 64) == ("a/b", "sha256:" + "0" * 64)
    assert references.target("", "") == ("", "")
    with pytest.raises(InvalidParameter):
        references.image("Foo", "")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("busybox", "busybox:latest", True),
        ("busy*", "busybox:latest", True),
        ("*:latest", "busybox:latest", True),
        ("*", "a/b:1", False),
        ("*/*", "a/b:1", True),
        ("busy", "busybox:latest", False),
    ],
)
def test_reference_globs(pattern: str, name: str, expected: bool) -> None:
    assert references.matches(pattern, name) is expected
