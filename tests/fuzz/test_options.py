"""daemon.json, fairwayd's arguments, and fairway's command lines and templates."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from fairway.cli.main import main
from fairway.cli.template import Template, TemplateFailed, TemplateSyntax
from fairway.cli.tree import GROUPS, SHORT
from fairway.daemon import config, flags
from fairway.model.errors import Fault
from fuzz.documents import ANYTHING
from fuzz.requests_to_api import WORDS
from fuzz.running import fuzz

VALUES = st.one_of(st.sampled_from(WORDS).filter(lambda word: "\0" not in word), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8))  # fmt: skip
DAEMON_WORDS = st.one_of(
    st.sampled_from(sorted(f"--{name}" for name in flags.BY_NAME)),
    st.builds("--{}={}".format, st.sampled_from(sorted(flags.BY_NAME)), VALUES),
    st.sampled_from(
        (
            "--default-address-pool=base=10.0.0.0/8,size=" + "9" * 5000,
            "--insecure-registry=10.0.0.1/99",
            "--mtu=" + "9" * 5000,
            "--mtu=1_500",
            "-H",
            "-D",
            "-Dl",
            "-l=",
            "--",
            "-",
            "---",
            "--=",
        )
    ),
    VALUES,
)


def test_daemon_json(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"

    def check(content: bytes) -> None:
        file.write_bytes(content)
        with suppress(Fault):
            config.read([f"--config-file={file}"])

    keys = st.sampled_from(sorted(flags.BY_KEY))
    values = st.one_of(
        ANYTHING,
        st.lists(VALUES, max_size=3),
        VALUES,
        st.lists(st.fixed_dictionaries({"base": VALUES, "size": ANYTHING}), max_size=2),
    )
    documents = st.dictionaries(keys, values, max_size=3).map(lambda value: json.dumps(value).encode())
    garbage = st.one_of(
        st.binary(max_size=40),
        st.sampled_from((b"[" * 100_000, b'{"a":' * 50_000, b"\xef\xbb\xbf{}", b"1" * 5000)),
    )
    fuzz(check, st.one_of(documents, documents, documents, garbage), 300)


def test_arguments(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text("{}")

    def check(words: list[str]) -> None:
        with suppress(Fault):
            config.read([f"--config-file={file}", *words])

    fuzz(check, st.lists(DAEMON_WORDS, max_size=4), 300)


LEAVES = sorted(
    [[name] for name in SHORT] + [[name, leaf] for name, group in GROUPS.items() for leaf in group.leaves]
)
OPTIONS = st.sampled_from("-a -q -f --format --filter -n --no-trunc --name --network --ip -p --publish -v --volume --mount -e --env --env-file --label -l --memory -m --cpus --restart --tmpfs --ulimit --device --health-interval --since --until --tail --timestamps --signal -s --time -t --driver --subnet --gateway --ip-range --aux-address -o --opt --sysctl --dns --add-host --hostname --user -u --workdir -w --entrypoint --gpus --platform --pull --detach -d -it --rm --follow --details --change --message --pretty --size --last --sort --help -H --host --log-level --tlsverify --config --context".split())  # fmt: skip
TEMPLATES = st.lists(st.sampled_from("{{ }} {{- -}} . .Names .ID $ $x := = | json index slice printf print len range if else end with and or not eq lt call template define block break continue ( ) \" ` ' \\ 1 0x -1 1e99 9223372036854775808 'a' '\\xff' \"%!s\" \"%99999999d\" \"%*d\" nil true , {{/* */}} %d upper split join truncate pad 999999999999 \n".split(" ")), max_size=12).map(" ".join)  # fmt: skip


class _Terminal(io.TextIOWrapper):
    """Standard streams that keep bytes, as real ones."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", "surrogateescape")


def run(words: list[str]) -> tuple[int, str]:
    """Exit status and standard error of ``fairway``, which finds no daemon."""
    out, err = _Terminal(), _Terminal()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    err.flush()
    return code, err.buffer.getvalue().decode(errors="replace")  # type: ignore[attr-defined]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon, no input, and nothing of the user's to find."""
    for name in ("DOCKER_HOST", "FAIRWAY_HOST"):
        monkeypatch.setenv(name, f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))


def test_command_lines(nowhere: None) -> None:
    def check(words: list[str]) -> None:
        code, told = run(words)
        assert code in (0, 1, 64, 125, 126, 127), (code, told)
        assert "Traceback" not in told

    rest = st.lists(
        st.one_of(OPTIONS, VALUES, VALUES, TEMPLATES, st.builds("{}={}".format, OPTIONS, VALUES)), max_size=6
    )
    fuzz(check, st.tuples(st.sampled_from(LEAVES), rest).map(lambda pair: pair[0] + pair[1]), 400)


DATA: dict[str, Any] = {
    "Names": "web",
    "ID": "c0ffee",
    "N": 3,
    "F": 1.5,
    "L": ["x", "y"],
    "M": {"b": 2},
    "Z": None,
}


def test_templates() -> None:
    def check(source: str) -> None:
        with suppress(TemplateSyntax, TemplateFailed):
            Template(source).render(DATA)

    deep = st.sampled_from(
        (
            "{{" + "(" * 5000 + "1" + ")" * 5000 + "}}",
            "{{if 1}}" * 3000 + "{{end}}" * 3000,
            "{{.a" + ".a" * 5000 + "}}",
            "{{" + "not " * 3000 + "1}}",
        )
    )
    fuzz(
        check,
        st.one_of(TEMPLATES, TEMPLATES.map(lambda text: f"{{{{{text}}}}}"), st.text(max_size=20), deep),
        600,
    )
