"""A short text that tells whether our part of the nftables table is as it was when the text was made. Pure.

Made from the table as libnftables lists it, without elements: the chains and rules of ours, the sets that we
declare, the table's flags. Handles and counts are left out, as they differ without a change; the
administrator's chains and sets, because they may. Another version of libnftables may list the same rules in
other words; they are then written once more.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_PASSING = frozenset(("handle", "elem", "packets", "bytes"))


def fingerprint(listing: Iterable[Mapping[str, Any]], ours: Callable[[str], bool]) -> str:
    """``listing``: entries of libnftables-json(5); ``ours``: whether a chain or set, by name, is."""
    kept = [
        json.dumps(_lasting(entry), sort_keys=True)
        for entry in listing
        for kind, of in entry.items()
        if kind == "table" or ours(of.get("chain") or of.get("name", ""))
    ]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _set(each) if key == "set" else _lasting(each)
            for key, each in value.items()
            if key not in _PASSING
        }
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def _set(value: Any) -> Any:
    """The members of a set within a rule have no order."""
    lasting = _lasting(value)
    return sorted(lasting, key=json.dumps) if isinstance(lasting, list) else lasting
