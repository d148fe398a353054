"""Names given by users: of containers, volumes, networks and images (API edge; texts as Docker's)."""

import re
from functools import lru_cache

from fairway.model import reference
from fairway.model.errors import InvalidParameter

_CHARS = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_CONTAINER = re.compile(rf"/?{_CHARS}+")
_VOLUME = re.compile(rf"{_CHARS}+")


def container_name(name: str) -> str:
    """The name without its leading slash; empty means one will be generated."""
    if name and not _CONTAINER.fullmatch(name):
        raise InvalidParameter(f"Invalid container name ({name}), only {_CHARS} are allowed")
    return name.removeprefix("/")


def volume_name(name: str) -> str:
    """The name itself; empty means an anonymous volume."""
    if len(name) == 1:
        raise InvalidParameter(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if name and not _VOLUME.fullmatch(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only "{_CHARS}" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )
    return name


def network_name(name: str) -> str:
    if not name.strip():
        raise InvalidParameter("invalid name: name is empty")
    return name


def image(name: str, tag: str) -> tuple[str, str]:
    """Familiar repository and tag or digest from two query parameters, either of which may hold the tag.

    No tag at all means ``latest``. Raises InvalidParameter.
    """
    parsed = reference.parse(name)
    if tag:
        parsed = parsed.with_digest(tag) if ":" in tag else parsed.with_tag(tag)
    parsed = parsed.with_default_tag()
    return parsed.familiar_name, parsed.digest or parsed.tag


def target(name: str, tag: str) -> tuple[str, str]:
    """Familiar repository and tag of what import, commit and tag shall name; both empty for no name."""
    if not name:
        return "", ""
    tagged = reference.tagged(name, tag)
    return tagged.familiar_name, tagged.tag


def matches(pattern: str, familiar: str) -> bool:
    """The ``reference`` filter: a glob on ``name:tag`` or ``name``; ``*`` stops at slashes (path.Match)."""
    glob = _glob(pattern)
    return any(glob.fullmatch(text) for text in (familiar, reference.parse(familiar).familiar_name))


@lru_cache(maxsize=64)
def _glob(pattern: str) -> re.Pattern[str]:
    pieces = {"*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(pieces.get(char, re.escape(char)) for char in pattern))
