"""What a companion's command line says."""

import pytest

from fairway.companion.process import _options


def test_pairs_and_switches() -> None:
    words = ["--detach", "--socket", "/s", "--state", "/d", "--resolv-conf", "/r"]
    assert _options(words) == {"detach": "", "socket": "/s", "state": "/d", "resolv-conf": "/r"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["/s"], "not an option: /s"),
        (["--socket", "/s"], "--state is missing"),
        (["--state", "/d", "--socket"], "--socket is missing"),
        (["--socket", "/s", "/t"], "not an option: /t"),
    ],
)
def test_what_is_wrong(words: list[str], text: str) -> None:
    with pytest.raises(SystemExit, match=text):
        _options(words)
