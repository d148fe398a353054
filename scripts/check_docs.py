"""Checks of the documents; ``make check`` runs them. ``--write`` brings generated pages up to date.

- generated pages are what their generators say now;
- links between documents lead to files and headings that exist;
- every ``make`` target, every file of this project, and every ``fairway`` and ``fairwayd`` command line
  that is shown as code exists, options included;
- so does every test that is named as ``file::function``.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import api_table
import packet_pages
from fairway.cli.flags import HelpWanted, Parser, UsageError
from fairway.cli.hosts import GLOBAL_FLAGS
from fairway.cli.tree import GROUPS, SHORT
from fairway.daemon import arguments, flags
from fairway.model.errors import Fault

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TEST = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_OURS = re.compile(r"(?:\.ci|bench|docs|packaging|scripts|src|tests)/[\w./-]*")


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def generated() -> dict[str, str]:
    """What generators say that pages are, by path."""
    pages = {"docs/api.md": api_table.page(), "docs/daemon-options.md": flags.page()}
    return pages | packet_pages.pages()


def stale() -> Iterator[str]:
    """Generated pages that are not what their generator says, and those that none speaks of any more."""
    pages = generated()
    for name, text in pages.items():
        path = ROOT / name
        if not path.exists() or path.read_text() != text:
            yield f"{name}: out of date, run: .venv/bin/python scripts/check_docs.py --write"
    for path in (ROOT / "docs/packets").glob("*"):
        if str(path.relative_to(ROOT)) not in pages:
            yield f"{path.relative_to(ROOT)}: nothing generates it, remove it"


def slugs(text: str) -> set[str]:
    """Anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def broken_links(path: Path, text: str) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists():
            yield f"link to {link}: no such file"
        elif anchor and anchor not in slugs(target.read_text()):
            yield f"link to {link}: no such heading"


def snippets(text: str) -> Iterator[str]:
    """Commands and names: inline code, and shell blocks line by line with continuation lines joined."""
    for language, body in _FENCE.findall(text):
        if language == "sh":
            yield from body.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))


def commands(snippet: str) -> Iterator[list[str]]:
    """The simple commands of a line, as words; prompt, comment and assignments before it left out."""
    line = re.sub(r"^\s*[$#] ", "", snippet)
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in ("|", "&&", "||", ";", "&"):
            if command:
                yield command
            command = []
        elif command or not (re.match(r"\w+=", word) or word in ("sudo", "export")):
            command.append(word)


def wrong_command(words: list[str], targets: set[str]) -> str:
    """What does not exist of a command line; empty for other people's programs."""
    program = words[0].rpartition("/")[2]
    if program == "make":
        unknown = [w for w in words[1:] if re.fullmatch(r"[a-z][\w-]*", w) and w not in targets]
        return f"make {unknown[0]}: no such target" if unknown else ""
    if program == "fairwayd":
        return _wrong_daemon(words[1:])
    return _wrong_client(words[1:]) if program == "fairway" and len(words) > 1 else ""


def _wrong_daemon(words: list[str]) -> str:
    try:
        given = arguments.parse([word for word in words if word != "…"])
    except Fault as fault:
        return f"fairwayd: {fault.message}"
    refused = [name for name in given if flags.BY_NAME[name].standing == "refused"]
    return f"fairwayd: --{refused[0]} is refused" if refused else ""


def _wrong_client(words: list[str]) -> str:
    try:
        _, rest = Parser(GLOBAL_FLAGS, False, lambda _: None).parse(words)
        if not rest:
            return ""
        leaf = SHORT.get(rest[0])
        if leaf is None and rest[0] in GROUPS:
            if len(rest) == 1:
                return ""
            leaf = GROUPS[rest[0]].find(rest.pop(1))
        if leaf is None:
            return f"fairway {' '.join(rest[:2])}: no such command"
        command = leaf.load()
        Parser(command.flags, command.interspersed, lambda _: None).parse(rest[1:])
    except HelpWanted:
        return ""
    except UsageError as fault:
        return f"fairway {' '.join(words)}: {fault.message}"
    return ""


def missing_files(snippet: str) -> Iterator[str]:
    """Paths of this project that do not exist; patterns and templates are left alone."""
    for word in snippet.split():
        path = word.strip("(),.:;")
        if _OURS.fullmatch(path) and not (ROOT / path).exists():
            yield f"{path}: no such file"


def missing_tests(snippet: str) -> Iterator[str]:
    """Tests named ``file::function`` that do not exist, such as a claim's that nobody proves any more."""
    for name, function in _TEST.findall(snippet):
        path = ROOT / name
        text = path.read_text() if path.exists() else ""
        if not re.search(rf"^(?:async )?def {function}\(", text, re.MULTILINE):
            yield f"{name}::{function}: no such test"


def faults(path: Path, targets: set[str]) -> Iterator[str]:
    text = path.read_text()
    yield from broken_links(path, text)
    for snippet in snippets(text):
        yield from missing_files(snippet)
        yield from missing_tests(snippet)
        for words in commands(snippet):
            if wrong := wrong_command(words, targets):
                yield wrong


def main(words: list[str]) -> int:
    """Print one line per fault; 1 if there is any."""
    if words == ["--write"]:
        for name, text in generated().items():
            (ROOT / name).parent.mkdir(exist_ok=True)
            (ROOT / name).write_text(text)
    elif words:
        sys.stderr.write("usage: scripts/check_docs.py [--write]\n")
        return 2
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    found = list(stale())
    for path in documents():
        found += [f"{path.relative_to(ROOT)}: {fault}" for fault in faults(path, targets)]
    for line in found:
        sys.stderr.write(f"{line}\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
