"""Image names: ``busybox``, ``registry:5000/team/app:v1``, ``app@sha256:…``.

A name is familiar (``busybox``) or full (``docker.io/library/busybox``); both forms appear in Docker's texts.
Grammar: github.com/distribution/reference.
"""

from __future__ import annotations

import re

from fairway.model.errors import InvalidParameter

_HUB, _OFFICIAL = "docker.io", "library"
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[\w][\w.-]{0,127}")
_DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")


class Reference:
    """A parsed name; ``tag`` is ``latest``, and ``defaulted`` true, when neither tag nor digest was given."""

    __slots__ = ("defaulted", "digest", "name", "tag")

    def __init__(self, name: str, tag: str, digest: str, defaulted: bool) -> None:
        self.name, self.tag, self.digest, self.defaulted = name, tag, digest, defaulted

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """The name in its full form; None when ``text`` is an image id or no name at all."""
        if re.fullmatch(r"[0-9a-f]{64}", text):
            return None
        rest, _, digest = text.partition("@")
        head, _, tail = rest.rpartition("/")
        tail, colon, tag = tail.partition(":")
        domain, remainder = _split(f"{head}/{tail}" if head else tail)
        if not _NAME.fullmatch(remainder) or (colon and not _TAG.fullmatch(tag)):
            return None
        if "@" in text and not _DIGEST.fullmatch(digest):
            return None
        defaulted = not tag and not digest
        return cls(f"{domain}/{remainder}", "latest" if defaulted else tag, digest, defaulted)

    @classmethod
    def require(cls, text: str) -> Reference:
        """The name; ``InvalidParameter`` with Docker's text when it is none."""
        found = cls.parse(text)
        if found is not None:
            return found
        if re.fullmatch(r"[0-9a-f]{64}", text):
            raise InvalidParameter(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )
        path = text.partition("@")[0]
        path = path[: path.rfind(":")] if ":" in path.rpartition("/")[2] else path
        _, remainder = _split(path)
        if remainder == remainder.lower():
            raise InvalidParameter("invalid reference format")
        raise InvalidParameter(f"invalid reference format: repository name ({remainder}) must be lowercase")

    @property
    def familiar_name(self) -> str:
        """The name without what is understood: ``busybox``."""
        return self.name.removeprefix(f"{_HUB}/").removeprefix(f"{_OFFICIAL}/")

    @property
    def suffix(self) -> str:
        """``:tag``, ``@digest`` or both."""
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def familiar(self) -> str:
        """``busybox:latest``."""
        return self.familiar_name + self.suffix

    @property
    def full(self) -> str:
        """``docker.io/library/busybox:latest``."""
        return self.name + self.suffix

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest if there is one, else the tag."""
        return self.digest or self.tag


def _split(path: str) -> tuple[str, str]:
    """Domain and repository of a name without tag and digest."""
    domain, slash, remainder = path.partition("/")
    if not slash or not (set(".:") & set(domain) or domain == "localhost" or domain != domain.lower()):
        domain, remainder = _HUB, path
    if domain in ("index.docker.io", _HUB):
        return _HUB, remainder if "/" in remainder else f"{_OFFICIAL}/{remainder}"
    return domain, remainder
