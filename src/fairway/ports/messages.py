"""What daemon and port holder say to one another (see ``companion.messages``)."""

import msgspec

from fairway.companion.messages import Done, Failed, Hello, Shutdown
from fairway.model.hold import Held, Hold

VERSION = 2


class Change(msgspec.Struct, frozen=True, tag=True):
    """Release, then hold; answered by ``Changed``. A port that is in both stays held all the time."""

    release: tuple[Hold, ...]
    hold: tuple[Hold, ...]


class List(msgspec.Struct, frozen=True, tag=True):
    """Answered by ``Holds``."""


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Keep the socket that comes along open, for what lives as long as it does (``kernel/translation.py``).

    The one before is closed; so without any, none is kept. Answered by ``Done``.
    """


Request = Hello | Change | List | Keep | Shutdown


class Changed(msgspec.Struct, frozen=True, tag=True):
    outcomes: tuple[Held, ...]
    """First of what was to be released, then of what was to be held."""


class Holds(msgspec.Struct, frozen=True, tag=True):
    holds: tuple[Hold, ...]


Response = Hello | Done | Changed | Holds | Failed

decode_request = msgspec.msgpack.Decoder(Request).decode
decode_response = msgspec.msgpack.Decoder(Response).decode
