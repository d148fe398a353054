"""``port add`` and ``port rm``: the bindings that are sent for what a container has."""

from typing import Any

import pytest

from fairway.api.client import ApiError
from fairway.cli import completion, ports
from fairway.cli.command import Invocation
from fairway.cli.container_look import PORT
from fairway.cli.exits import Exit
from fairway.cli.flags import Options
from fairway.cli.main import main
from fairway.cli.port_live import added, removed
from fairway.model.errors import InvalidParameter


def container(bindings: dict[str, Any], running: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """``8080`` or ``127.0.0.1:8080``, by container port."""
    parsed = {port: [bind(text) for text in given] for port, given in bindings.items()}
    ports = {port: [bind(text) for text in given] for port, given in (running or {}).items()}
    return {
        "Name": "/web",
        "HostConfig": {"PortBindings": parsed, "PublishAllPorts": False} | more.pop("host", {}),
        "NetworkSettings": {"Ports": ports},
        "Config": {"ExposedPorts": {}} | more,
    }


def bind(text: str) -> dict[str, str]:
    address, _, port = text.rpartition(":")
    return {"HostIp": address, "HostPort": port}


def spec(*words: str) -> ports.Bindings:
    return ports.published(words)[1]


def shown(changes: ports.Bindings) -> dict[str, list[str]]:
    return {
        port: [f"{b['HostIp']}:{b['HostPort']}".removeprefix(":") for b in each]
        for port, each in changes.items()
    }


def test_added_to_what_there_is() -> None:
    web = container({"80/tcp": ["8080"], "81/tcp": [""]})
    assert shown(added(web, spec("8081:80", "53/udp", "9000-9001:90-91"))) == {
        "80/tcp": ["8080", "8081"],
        "53/udp": [""],
        "90/tcp": ["9000"],
        "91/tcp": ["9001"],
    }


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["8080:80"], {"80/tcp": ["127.0.0.1:8081", ""]}),
        (["80"], {"80/tcp": []}),
        (["127.0.0.1:8081:80"], {"80/tcp": ["8080", ""]}),
        (["127.0.0.1::80"], {"80/tcp": ["8080", ""]}),
        (["8081:80"], {"80/tcp": ["8080", ""]}),
        (["32768:80"], {"80/tcp": ["8080", "127.0.0.1:8081"]}),
        (["8080:80", "8081:80"], {"80/tcp": [""]}),
        (["5353:53/udp", "8080:80"], {"53/udp": [], "80/tcp": ["127.0.0.1:8081", ""]}),
    ],
)
def test_removed(words: list[str], left: dict[str, list[str]]) -> None:
    bindings = {"80/tcp": ["8080", "127.0.0.1:8081", ""], "53/udp": ["5353"]}
    running = {"80/tcp": ["0.0.0.0:8080", "127.0.0.1:8081", "0.0.0.0:32768"], "53/udp": ["0.0.0.0:5353"]}
    assert shown(removed(container(bindings, running), spec(*words))) == left


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("8090:80", "No such mapping of container web: 8090:80/tcp; see: fairway port web"),
        ("8080:80/udp", "No such mapping of container web: 8080:80/udp"),
        ("127.0.0.1:8080:80", r"127\.0\.0\.1:8080:80/tcp"),
        ("[::1]:8080:80", r"\[::1\]:8080:80/tcp"),
        ("443", "No such mapping of container web: 443/tcp"),
        ("32768:80", "one of several automatic mappings"),
    ],
)
def test_what_cannot_be_removed(word: str, text: str) -> None:
    web = container({"80/tcp": ["8080", "", ""]}, {"80/tcp": ["0.0.0.0:32768", "0.0.0.0:32769"]})
    with pytest.raises(InvalidParameter, match=text):
        removed(web, spec(word))


def test_publish_all_is_spelled_out() -> None:
    web = container(
        {"80/tcp": ["8080"]}, host={"PublishAllPorts": True}, ExposedPorts={"80/tcp": {}, "81/tcp": {}}
    )
    web["HostConfig"]["PortBindings"] = {"80/tcp": [bind("8080")]}
    assert shown(added(web, spec("8181:81"))) == {"81/tcp": ["", "8181"]}
    assert shown(removed(web, spec("81"))) == {"81/tcp": []}


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["add", "web", "80"], "add"),
        (["rm", "web", "80", "81"], "rm"),
        (["add", "--help"], "add"),
        (["add", "80"], None),
        (["add"], None),
        (["web", "80"], None),
        (["web", "add", "80"], None),
    ],
)
def test_two_words_are_a_container_and_its_port(words: list[str], verb: str | None) -> None:
    assert PORT.verb(words) is (PORT.verbs[verb] if verb else None)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["container", "port", "rm", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage:  fairway container port rm CONTAINER ")
    assert "fairway container port rm, fairway port rm" in text
    assert main(["port", "a", "b", "c"]) == 1
    assert "'fairway port' requires at least 1 and at most 2 arguments" in capsys.readouterr().err


def test_a_verb_without_its_words_is_told_what_it_takes() -> None:
    class Empty:
        def get(self, path: str) -> None:
            raise ApiError(404, "No such container: rm")

    given = Invocation(Empty, "fairway port", Options(()), ["rm", "web"])  # type: ignore[arg-type]
    with pytest.raises(Exit) as ended:
        PORT.run(given)
    assert "No such container: rm\n\nUsage:  fairway port rm CONTAINER " in ended.value.text


class Daemon:
    """Stands for an invocation whose daemon knows one container."""

    client: Any

    def __init__(self) -> None:
        self.client = self

    def get(self, path: str, query: object) -> list[dict[str, Any]]:
        return [{"Names": ["/web"], "Image": "busybox"}]


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (["port"], ["web", "add", "rm"]),
        (["container", "port"], ["web", "add", "rm"]),
        (["port", "add"], ["web"]),
        (["port", "web"], ["web"]),
    ],
)
def test_completion(before: list[str], words: list[str]) -> None:
    found = completion.candidates(Daemon(), before, "")  # type: ignore[arg-type]
    assert [word for word, _ in found] == words
