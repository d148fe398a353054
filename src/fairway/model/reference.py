"""Image references: ``[domain[:port]/]path[:tag][@digest]``, the grammar of the ``distribution`` project.

A reference has two spellings. The canonical one is complete (``docker.io/library/busybox:latest``) and is
what stores key on; the familiar one (``busybox``) is what people type and read. Parsing goes from either to
the parts; the texts of errors are Docker's.
"""

import re

import msgspec

from fairway.model.errors import InvalidParameter

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL = "library/"

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?"
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_SHA256 = re.compile(r"sha256:[a-f0-9]{64}")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed reference; ``tag`` and ``digest`` are empty when not given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository: ``docker.io/library/busybox``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: ``busybox``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        rest = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in rest else rest

    @property
    def familiar(self) -> str:
        """``busybox:latest``, ``localhost:5000/a@sha256:…``."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        """The canonical form."""
        return self.name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_default_tag(self) -> "Reference":
        """Itself if it has tag or digest, else with ``latest``."""
        return self if self.tag or self.digest else msgspec.structs.replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> "Reference":
        """The repository with another tag. Raises InvalidParameter."""
        if not re.fullmatch(_TAG, tag):
            raise InvalidParameter("invalid tag format")
        return Reference(domain=self.domain, path=self.path, tag=tag)

    def with_digest(self, digest: str) -> "Reference":
        """The repository at a digest. Raises InvalidParameter."""
        if not is_digest(digest):
            raise InvalidParameter("invalid checksum digest format")
        return Reference(domain=self.domain, path=self.path, digest=digest)


def is_digest(text: str) -> bool:
    """Whether the text is a complete sha256 digest, e.g. an image id."""
    return _SHA256.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """A reference from its familiar or canonical form, no tag added.

    Raises InvalidParameter with the texts of distribution/reference.
    """
    if _IDENTIFIER.fullmatch(text):
        raise InvalidParameter(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    domain, remainder = _split_domain(text)
    path = remainder.partition(":")[0]
    if path.lower() != path:
        raise InvalidParameter(f"invalid reference format: repository name ({path}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidParameter("invalid reference format")
    found = Reference(**{key: value or "" for key, value in match.groupdict().items()})
    if found.digest.startswith("sha256:") and not is_digest(found.digest):
        raise InvalidParameter("invalid checksum digest length")
    if len(found.name) > 255:
        raise InvalidParameter("repository name must not be more than 255 characters")
    return found


def tagged(repository: str, tag: str) -> Reference:
    """The target of ``docker tag``, ``commit`` and ``import``: a repository and a tag, ``latest`` if empty.

    The repository may carry the tag itself. Raises InvalidParameter.
    """
    target = parse(repository)
    if target.digest:
        raise InvalidParameter("refusing to create a tag with a digest reference")
    return target.with_tag(tag) if tag else target.with_default_tag()


def short(identifier: str) -> str:
    """The first 12 hex digits of an id or digest, as Docker truncates it."""
    return identifier.rpartition(":")[2][:12]


def _split_domain(text: str) -> tuple[str, str]:
    """A first component is a domain if it has a dot, a port or an upper-case letter, or is ``localhost``."""
    first, slash, rest = text.partition("/")
    if slash and (any(c in first for c in ".:") or first == "localhost" or first.lower() != first):
        domain, remainder = first, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder
