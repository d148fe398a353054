"""``--mount`` and ``-v``: file systems in the container, from the command line to the API.

``--mount`` becomes an entry of ``Mounts``; ``-v`` becomes a bind (``source:target``) or, without a source, an
anonymous volume. A relative source that starts with a dot is ours, so it is made absolute here.
"""

from __future__ import annotations

import os
from typing import Any

from fairway.cli.kinds import BOOL, STRINGS, Refused, listed
from fairway.cli.units import parse_size
from fairway.model.errors import InvalidParameter

_FLAGS = {
    "readonly": ("", "ReadOnly"),
    "ro": ("", "ReadOnly"),
    "bind-nonrecursive": ("BindOptions", "NonRecursive"),
    "volume-nocopy": ("VolumeOptions", "NoCopy"),
}
_TEXTS = {
    "type": ("", "Type"),
    "source": ("", "Source"),
    "src": ("", "Source"),
    "target": ("", "Target"),
    "dst": ("", "Target"),
    "destination": ("", "Target"),
    "consistency": ("", "Consistency"),
    "bind-propagation": ("BindOptions", "Propagation"),
    "volume-subpath": ("VolumeOptions", "Subpath"),
    "image-subpath": ("ImageOptions", "Subpath"),
}
_OWNERS = {
    "BindOptions": "bind",
    "VolumeOptions": "volume",
    "ImageOptions": "image",
    "TmpfsOptions": "tmpfs",
}
_RECURSION: dict[str, dict[str, bool]] = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}


def _mount(text: str) -> dict[str, Any]:
    """One ``--mount``: comma-separated ``key=value``; raises ``Refused``."""
    if not text.strip():
        raise Refused("value is empty")
    found: dict[str, Any] = {"Type": "volume"}
    for field in STRINGS.parse(text):
        key, equals, value = field.partition("=")
        if key != key.strip() or value != value.strip():
            raise Refused(f"invalid option '{key.strip()}' in '{field}': option should not have whitespace")
        _take(found, field, key.lower(), value if equals else None)
    _check(found)
    if found["Type"] == "bind" and found.get("Source", "").startswith("."):
        found["Source"] = os.path.abspath(found["Source"])  # noqa: PTH100 - pathlib costs 4 ms
    return found


def _take(found: dict[str, Any], field: str, key: str, value: str | None) -> None:
    if key in _FLAGS:
        section, name = _FLAGS[key]
        try:
            on = value is None or BOOL.parse(value)
        except Refused as refused:
            raise Refused(f"invalid value for {key}: {value}") from refused
        _section(found, section)[name] = on
        return
    if value is None:
        raise Refused(f"invalid field '{field}' must be a key=value pair")
    if key in _TEXTS:
        section, name = _TEXTS[key]
        _section(found, section)[name] = value.lower() if key == "type" else value
    elif key == "bind-recursive":
        if value not in _RECURSION:
            raise Refused(
                f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
        _section(found, "BindOptions").update(_RECURSION[value])
    elif key == "volume-label":
        name, _, label = value.partition("=")
        _section(found, "VolumeOptions").setdefault("Labels", {})[name] = label
    elif key == "volume-driver":
        _driver(found)["Name"] = value
    elif key == "volume-opt":
        name, _, option = value.partition("=")
        _driver(found).setdefault("Options", {})[name] = option
    elif key == "tmpfs-size":
        try:
            _section(found, "TmpfsOptions")["SizeBytes"] = parse_size(value)
        except ValueError as error:
            raise Refused(f"invalid value for {key}: {value}") from error
    elif key == "tmpfs-mode":
        try:
            _section(found, "TmpfsOptions")["Mode"] = int(value, 8)
        except ValueError as error:
            raise Refused(f"invalid value for {key}: {value}") from error
    else:
        raise Refused(f"unexpected key '{key}' in '{field}'")


def _section(found: dict[str, Any], name: str) -> dict[str, Any]:
    section = found.setdefault(name, {}) if name else found
    assert isinstance(section, dict)
    return section


def _driver(found: dict[str, Any]) -> dict[str, Any]:
    driver = _section(found, "VolumeOptions").setdefault("DriverConfig", {})
    assert isinstance(driver, dict)
    return driver


def _check(found: dict[str, Any]) -> None:
    if not found["Type"]:
        raise Refused("type is required")
    if not found.get("Target"):
        raise Refused("target is required")
    for section, kind in _OWNERS.items():
        if section in found and found["Type"] != kind:
            raise Refused(f"cannot mix '{kind}-*' options with mount type '{found['Type']}'")


MOUNTS = listed("mount", _mount)


def split_volumes(specs: list[str]) -> tuple[list[str], list[str]]:
    """``-v`` values → binds and targets of anonymous volumes; raises ``InvalidParameter``."""
    binds, anonymous = [], []
    for spec in specs:
        parts = spec.split(":")
        if len(parts) > 1 and not all(parts):
            raise InvalidParameter(f"invalid spec: {spec}: empty section between colons")
        if len(parts) == 1:
            anonymous.append(spec)
            continue
        source = os.path.abspath(parts[0]) if parts[0].startswith(".") else parts[0]  # noqa: PTH100
        binds.append(":".join([source, *parts[1:]]))
    return binds, anonymous
