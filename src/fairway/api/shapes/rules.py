"""Rules of the firewall, as people read them (Fairway's own, not in Docker's API)."""

from typing import Any

from fairway.model.rule import Rule


def rule(found: Rule) -> dict[str, Any]:
    """``Packets`` and ``Bytes`` are null where the kernel does not count this alone."""
    return {
        "Kind": found.kind,
        "ID": found.id,
        "Name": found.name,
        "Rule": found.rule,
        "From": found.origin,
        "To": found.to,
        "Verdict": found.verdict,
        "Packets": found.packets,
        "Bytes": found.bytes,
    }
