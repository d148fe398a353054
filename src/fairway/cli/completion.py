"""``completion bash|zsh|fish`` and the hidden ``__complete`` that the scripts call.

The scripts know nothing: each hands the words typed so far to ``fairway __complete``, which answers one
candidate a line, ``word<TAB>description``, from the same tables that parse the command line, and from the
daemon for names. A daemon that cannot be asked means no names, never an error in the middle of a prompt.
"""

from __future__ import annotations

import sys

from fairway.cli.command import ANY, NONE, Command, Invocation
from fairway.cli.exits import OK
from fairway.cli.flags import Flag
from fairway.cli.hosts import GLOBAL_FLAGS
from fairway.cli.kinds import BOOL
from fairway.cli.tree import GROUPS, SHORT
from fairway.model.errors import Fault

Candidates = list[tuple[str, str]]

_BASH = """\
# bash completion for fairway
_fairway() {
    local IFS=$'\\n' word
    COMPREPLY=()
    while read -r word; do
        COMPREPLY+=("${word%%$'\\t'*}")
    done < <(fairway __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [ "${#COMPREPLY[@]}" -gt 0 ] || compopt -o default
}
complete -F _fairway fairway
"""
_ZSH = """\
#compdef fairway
compdef _fairway fairway
_fairway() {
    local -a found
    local line
    while IFS= read -r line; do
        found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done < <(fairway __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then _describe fairway found; else _files; fi
}
"""
_FISH = """\
# fish completion for fairway
function __fairway_complete
    set -l words (commandline -opc) (commandline -ct)
    fairway __complete -- $words[2..-1] 2>/dev/null
end
complete -c fairway -f -a '(__fairway_complete)'
"""


def _script(text: str) -> int:
    sys.stdout.write(text)
    return OK


def _complete(given: Invocation) -> int:
    words = given.args or [""]
    for word, about in candidates(given, words[:-1], words[-1]):
        given.line(f"{word}\t{about}")
    return OK


def candidates(given: Invocation, before: list[str], start: str) -> Candidates:
    """What may follow ``before`` and begins with ``start``."""
    words = [word for word in before if not word.startswith("-")]
    found: Candidates
    if not words:
        found = _flags(GLOBAL_FLAGS) if start.startswith("-") else _root()
    elif words[0] in GROUPS and len(words) == 1:
        found = sorted((name, leaf.summary) for name, leaf in GROUPS[words[0]].leaves.items())
    else:
        group = GROUPS.get(words[0])
        leaf = group.find(words[1]) if group else SHORT.get(words[0])
        if leaf is None:
            return []
        command, at = leaf.load(), 2 if group else 1
        if verb := command.verbs.get(words[at]) if len(words) > at else None:
            command, at = verb, at + 1
        if start.startswith("-"):
            found = _flags((*command.flags, Flag("help", BOOL, "Print usage")))
        elif _takes_value(command, before):
            return []
        else:
            found = _names(given, command, len(words) - at)
            if len(words) == at:
                found += [(name, verb.about) for name, verb in command.verbs.items()]
    return [(word, about) for word, about in found if word.startswith(start)]


def _root() -> Candidates:
    groups = [(name, group.summary) for name, group in GROUPS.items()]
    return sorted(groups + [(n, leaf.summary) for n, leaf in SHORT.items() if not n.startswith("__")])


def _flags(flags: tuple[Flag, ...]) -> Candidates:
    return sorted((f"--{flag.name}", flag.text.partition("\n")[0]) for flag in flags if not flag.hidden)


def _takes_value(command: Command, before: list[str]) -> bool:
    """Whether the last word is an option that the next word is the value of."""
    last = before[-1] if before else ""
    for flag in command.flags:
        if last == f"--{flag.name}" or (flag.short and last == f"-{flag.short}"):
            return flag.kind is not BOOL
    return False


def _names(given: Invocation, command: Command, position: int) -> Candidates:
    """Names of the objects that stand at this position, by what the command says of its positionals."""
    kinds = command.complete.split()
    if not kinds or (command.arity.most is not None and position >= command.arity.most):
        return []
    try:
        return _ask(given, kinds[min(position, len(kinds) - 1)])
    except Fault:
        return []


def _ask(given: Invocation, kind: str) -> Candidates:
    client = given.client
    if kind == "networks":
        return [(network["Name"], network["Driver"]) for network in client.get("/networks") or ()]
    if kind == "volumes":
        return [(v["Name"], v["Driver"]) for v in (client.get("/volumes") or {}).get("Volumes") or ()]
    if kind == "images":
        images = client.get("/images/json") or ()
        return [(tag, image["Id"][7:19]) for image in images for tag in image.get("RepoTags") or ()]
    containers = client.get("/containers/json", {"all": True}) or ()
    return [(name.lstrip("/"), c["Image"]) for c in containers for name in c.get("Names") or ()]


def _about(shell: str) -> str:
    return f"Generate the autocompletion script for the {shell} shell."


BASH = Command(lambda _given: _script(_BASH), "", _about("bash"), NONE)
ZSH = Command(lambda _given: _script(_ZSH), "", _about("zsh"), NONE)
FISH = Command(lambda _given: _script(_FISH), "", _about("fish"), NONE)
COMPLETE = Command(_complete, "[WORD...]", "Candidates for the last word", ANY, interspersed=False)
