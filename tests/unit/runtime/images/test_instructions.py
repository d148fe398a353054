"""Dockerfile instructions given as --change, and the words they are made of."""

from typing import Any

import pytest

from fairway.model.errors import InvalidParameter
from fairway.runtime.images.instructions import apply_changes
from fairway.runtime.images.words import split


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ('CMD ["sh","-c","echo hi"]', "Cmd", ["sh", "-c", "echo hi"]),
        ("CMD echo hi", "Cmd", ["/bin/sh", "-c", "echo hi"]),
        ("cmd [broken", "Cmd", ["/bin/sh", "-c", "[broken"]),
        ('ENTRYPOINT ["/x"]', "Entrypoint", ["/x"]),
        ("ENTRYPOINT []", "Entrypoint", None),
        ("ENV A=1 B='two words'", "Env", ["P=/bin", "A=1", "B=two words"]),
        ("ENV A the rest  of it", "Env", ["P=/bin", "A=the rest  of it"]),
        ("ENV P=$P:/x", "Env", ["P=/bin:/x"]),
        ("ENV P=${Q:-/y}", "Env", ["P=/y"]),
        (
            "EXPOSE 80 53/UDP 7000-7001",
            "ExposedPorts",
            {"80/tcp": {}, "53/udp": {}, "7000/tcp": {}, "7001/tcp": {}},
        ),
        ('LABEL a=1 b="x y"', "Labels", {"a": "1", "b": "x y"}),
        ("USER nobody:nogroup", "User", "nobody:nogroup"),
        ("VOLUME /a /b", "Volumes", {"/a": {}, "/b": {}}),
        ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}),
        ("WORKDIR sub/..//dir", "WorkingDir", "/srv/dir"),
        ("STOPSIGNAL SIGRTMIN+3", "StopSignal", "SIGRTMIN+3"),
        ("STOPSIGNAL 9", "StopSignal", "9"),
        ("ONBUILD RUN make", "OnBuild", ["RUN make"]),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        (
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl x",
            "Healthcheck",
            {"Test": ["CMD-SHELL", "curl x"], "Interval": 90 * 10**9, "Retries": 3},
        ),
        (
            'HEALTHCHECK --start-period=500ms CMD ["a","b"]',
            "Healthcheck",
            {"Test": ["CMD", "a", "b"], "StartPeriod": 5 * 10**8},
        ),
    ],
)
def test_each_instruction(change: str, field: str, value: Any) -> None:
    base = {"Env": ["P=/bin"], "WorkingDir": "/srv"}
    result = apply_changes(base, [change])
    assert result[field] == value
    assert base == {"Env": ["P=/bin"], "WorkingDir": "/srv"}


def test_entrypoint_resets_an_inherited_command_only() -> None:
    assert apply_changes({"Cmd": ["old"]}, ['ENTRYPOINT ["/x"]'])["Cmd"] is None
    assert apply_changes({"Cmd": ["old"]}, ['CMD ["new"]', 'ENTRYPOINT ["/x"]'])["Cmd"] == ["new"]


def test_several_lines_comments_and_continuations() -> None:
    changes = ["ENV A=1 \\\n B=2\n# nothing\n\nLABEL x=$A", "USER u"]
    assert apply_changes({}, changes) == {"Env": ["A=1", "B=2"], "Labels": {"x": "1"}, "User": "u"}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("ADD a b", "ADD is not a valid change command"),
        ("nonsense", "nonsense is not a valid change command"),
        ("ENV A", "ENV must have two arguments"),
        ("ENV =x", "ENV names can not be blank"),
        ("ENV A=1 B", 'Syntax error - can\'t find = in "B". Must be of the form: name=value'),
        ("EXPOSE x", "invalid containerPort: x"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("USER a b", "USER requires exactly one argument"),
        ("CMD [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
        ("STOPSIGNAL SIGNOPE", "Invalid signal: SIGNOPE"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK EXEC x", 'Unknown type "EXEC" in HEALTHCHECK (try CMD)'),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --nope=1 CMD x", "unknown flag: nope"),
        ("HEALTHCHECK --interval=abc CMD x", 'time: invalid duration "abc"'),
        ("HEALTHCHECK --interval=1ns CMD x", 'Interval "--interval" cannot be less than 1ms'),
        ('VOLUME [""]', "VOLUME specified can not be an empty string"),
        ("USER 'open", "unexpected end of statement while looking for matching single-quote"),
    ],
)
def test_refusals(change: str, error: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        apply_changes({}, [change])
    assert caught.value.message == error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("'$A' \"$A\" $A", ["$A", "x y", "x y"]),
        ("pre${A}post ${NO:-d} ${A:+s} $NO", ["prex ypost", "d", "s", ""]),
        (r"a\ b \$A \"q\"", ["a b", "$A", '"q"']),
        (r'"a\nb\"c"', [r'a\nb"c']),
        ("''", [""]),
        ("$ $1", ["$", "$1"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert split(text, {"A": "x y"}) == expected
