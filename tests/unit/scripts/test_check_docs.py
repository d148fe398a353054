"""The checks of the documents find what is wrong; the documents have nothing wrong."""

from pathlib import Path

import pytest

import api_table
import check_docs
import packet_pages

TARGETS = {"test", "demo"}


def test_the_documents_are_right() -> None:
    assert check_docs.main([]) == 0


@pytest.mark.parametrize(
    "line",
    [
        "$ make demo",
        "sudo make test",
        "fairway network create --subnet 10.1.0.0/24 web",
        "fairway run -itd --net=web --name c busybox sh -c 'x --unknown'",
        "fairway ps -q | xargs fairway rm -f",
        "fairwayd -H unix:///tmp/x.sock --data-root=/tmp/x",
        "FAIRWAY_HOST=unix:///tmp/x.sock fairway ps  # a comment",
        "docker run --anything",
        "fairway",
        "fairway network",
    ],
)
def test_what_exists_passes(line: str) -> None:
    assert [
        wrong for words in check_docs.commands(line) if (wrong := check_docs.wrong_command(words, TARGETS))
    ] == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("make nothing", "make nothing: no such target"),
        ("fairway network inspect --nothing x", "unknown flag: --nothing"),
        ("fairway nothing", "fairway nothing: no such command"),
        ("fairway network nothing", "no such command"),
        ("fairway ps && fairway run -Y busybox", "unknown shorthand flag"),
        ("fairwayd --nothing", "--nothing"),
        ("fairwayd --cgroup-parent=/x", "--cgroup-parent is refused"),
    ],
)
def test_what_does_not_exist_is_found(line: str, fault: str) -> None:
    found = [
        wrong for words in check_docs.commands(line) if (wrong := check_docs.wrong_command(words, TARGETS))
    ]
    assert len(found) == 1
    assert fault in found[0]


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# A heading: two\n")
    text = (
        "[1](b.md) [2](b.md#a-heading-two) [3](https://example.org) [4](c.md) [5](b.md#three) [6](#i)\n# I\n"
    )
    (tmp_path / "a.md").write_text(text)
    assert list(check_docs.broken_links(tmp_path / "a.md", text)) == [
        "link to c.md: no such file",
        "link to b.md#three: no such heading",
    ]


def test_code_is_found_inline_and_in_blocks() -> None:
    text = "Say `make demo`.\n```sh\nfairway run \\\n  busybox\n```\n```\nmake x\n```\n"
    assert list(check_docs.snippets(text)) == ["fairway run    busybox", "make demo"]


def test_files_of_the_project_must_exist() -> None:
    assert list(check_docs.missing_files("see src/fairway/model/ and scripts/nothing.py")) == [
        "scripts/nothing.py: no such file"
    ]


def test_every_documented_endpoint_has_a_route() -> None:
    """At least one that says what is missing."""
    states = {(e.method, e.path): api_table.state_of(e) for e in api_table.documented()}
    assert len(states) == 107
    assert set(states.values()) == {"supported", "501"}
    assert set(api_table.NOTES) <= set(states)
    assert states["GET", "/networks/{id}"] == "supported"
    assert states["GET", "/swarm"] == "501"


def test_a_page_that_nothing_generates_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_pages, "pages", dict)
    assert "docs/packets/README.md: nothing generates it, remove it" in list(check_docs.stale())


def test_tests_that_are_named_exist() -> None:
    name = "tests/unit/scripts/test_check_docs.py"
    here = f"{name}::test_tests_that_are_named_exist"
    assert list(check_docs.missing_tests(here)) == []
    wrong = f"{name}::test_nothing {name}::test_links_are_follow tests/unit/nowhere.py::test_it"
    assert list(check_docs.missing_tests(wrong)) == [f"{each}: no such test" for each in wrong.split()]


def test_each_promise_of_security_names_its_tests() -> None:
    text = (check_docs.ROOT / "docs/security.md").read_text()
    assert len(check_docs._TEST.findall(text)) > 40
    limits = text.partition("## Limits")[2].partition("| test |")[2].splitlines()[2:]
    rows = [row for row in limits if row.startswith("|")]
    assert rows and all(check_docs._TEST.search(row) for row in rows)
