"""API versions: the range spoken, and the texts for those outside (Docker Engine API, "Versioning").

A request without a prefix speaks the newest version, as in Docker.
"""

from fairway.model.errors import InvalidParameter

Version = tuple[int, int]

NEWEST: Version = (1, 51)
OLDEST: Version = (1, 24)


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def negotiate(asked: str) -> Version:
    """The version of a path prefix, e.g. ``1.43``.

    Raises InvalidParameter, worded as Docker words it, when this engine does not speak it.
    """
    try:
        major, minor = (int(part) for part in f"{asked}.0".split(".")[:2])
    except ValueError:
        raise InvalidParameter(f"invalid API version {asked!r}") from None
    if (major, minor) < OLDEST:
        raise InvalidParameter(
            f"client version {asked} is too old. Minimum supported API version is {text(OLDEST)}, "
            "please upgrade your client to a newer version"
        )
    if (major, minor) > NEWEST:
        raise InvalidParameter(
            f"client version {asked} is too new. Maximum supported API version is {text(NEWEST)}"
        )
    return major, minor
