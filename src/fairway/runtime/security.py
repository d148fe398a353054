"""``--security-opt``: a list of words, parsed once into a value.

Docker accepts ``name=value`` and, as it once was, ``name:value``; ``no-new-privileges`` stands alone, too.
"""

import msgspec

from fairway.model.errors import InvalidParameter
from fairway.runtime.seccomp import Profile
from fairway.runtime.seccomp import parse as parse_profile


class SecurityOptions(msgspec.Struct, frozen=True, kw_only=True):
    no_new_privileges: bool = False
    apparmor: str = ""
    """Profile name; empty for none."""
    seccomp: Profile | None = None
    """The user's own profile."""
    seccomp_unconfined: bool = False
    paths_unconfined: bool = False
    """No masked and read-only paths (``systempaths=unconfined``)."""


def parse(options: tuple[str, ...]) -> SecurityOptions:
    """Raises InvalidParameter for unknown options."""
    result: dict[str, object] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator:
            name, separator, value = option.partition(":")
        match name, value:
            case "no-new-privileges", "" | "true" | "false":
                result["no_new_privileges"] = value != "false"
            case "apparmor", _ if separator:
                result["apparmor"] = "" if value == "unconfined" else value
            case "seccomp", "unconfined":
                result["seccomp_unconfined"] = True
            case "seccomp", "builtin":
                pass
            case "seccomp", _ if separator:
                result["seccomp"] = parse_profile(value)
            case "systempaths", "unconfined":
                result["paths_unconfined"] = True
            case "label", _ if separator:
                pass  # as Docker on a host without SELinux
            case _:
                raise InvalidParameter(f'invalid --security-opt 2: "{option}"')
    return msgspec.convert(result, SecurityOptions)
