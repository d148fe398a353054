"""Where the host is not as the records say."""

from typing import Literal

import msgspec


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. ``name`` is the network's or container's; nobody's things are the host's."""

    kind: Literal["network", "container", "host"]
    id: str = ""
    name: str = ""
    text: str
    """``interface br-0123456789ab is missing``"""


class Examination(msgspec.Struct, frozen=True):
    """What differs, or did before it was mended; what still does; and what kept it from being mended."""

    found: tuple[Difference, ...] = ()
    left: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()
