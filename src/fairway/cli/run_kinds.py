"""Kinds of values that only ``run``, ``create`` and ``network connect`` take, checked as they are read."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from fairway.cli.kinds import Kind, Refused, listed

_ULIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
_SYSCTL_NAMES = (
    "kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni"
    " kernel.shm_rmid_forced"
).split()
_SYSCTL_PREFIXES = ("net.", "fs.mqueue.")
_CGROUP_RULE = re.compile(r"^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$")
_DOMAIN = re.compile(
    r"^(:?(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9]))(:?\.(:?[a-zA-Z0-9]|(:?[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])))*)\.?\s*$"
)


def _link(text: str) -> str:
    if not text:
        raise Refused("empty string specified for links")
    parts = text.split(":")
    if len(parts) > 2:
        raise Refused(f"bad format for links: {text}")
    if len(parts) == 2 and parts[0].startswith("/") and len(parts[0]) > 1:
        return f"{parts[0]}:{parts[1].rpartition('/')[2]}"
    return text


def _host(text: str) -> str:
    """``name:address`` or ``name=address``; ``host-gateway`` is an address that the daemon knows."""
    name, mark, address = text.partition("=")
    if not mark:
        name, mark, address = text.partition(":")
    if not mark or not name:
        raise Refused(f'bad format for add-host: "{text}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway":
        try:
            ip_address(address)
        except ValueError as error:
            raise Refused(f'invalid IP address in add-host: "{address}"') from error
    return f"{name}:{address}"


def _dns(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError as error:
        raise Refused(f"IP address is not correctly formatted: {text}") from error


def _search(text: str) -> str:
    text = text.strip()
    if text == ".":
        return text
    found = _DOMAIN.match(text)
    if found is None or len(text) >= 255:
        raise Refused(f"{text} is not a valid domain")
    return found[1]


def _variable(text: str) -> str:
    if not text.partition("=")[0]:
        raise Refused(f"invalid environment variable: {text}")
    return text


def _label(text: str) -> str:
    if not text.partition("=")[0].strip():
        raise Refused(f"invalid label '{text}': empty name")
    return text


def _sysctl(text: str) -> dict[str, str]:
    name, _, value = text.partition("=")
    if "=" not in text or not (name in _SYSCTL_NAMES or name.startswith(_SYSCTL_PREFIXES)):
        raise Refused(f"sysctl '{text}' is not allowed")
    return {name: value}


def _ulimit(text: str) -> dict[str, Any]:
    name, equals, limits = text.partition("=")
    if not equals:
        raise Refused(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise Refused(f"invalid ulimit type: {name}")
    soft, colon, hard = limits.partition(":")
    numbers = []
    for part in (soft, hard) if colon else (soft,):
        try:
            numbers.append(int(part))
        except ValueError as error:
            raise Refused(f'strconv.ParseInt: parsing "{part}": invalid syntax') from error
    low, high = numbers[0], numbers[-1]
    if high != -1 and (low > high or low == -1):
        raise Refused(f"ulimit soft limit must be less than or equal to hard limit: {low} > {high}")
    return {"Name": name, "Soft": low, "Hard": high}


def _cgroup_rule(text: str) -> str:
    if not _CGROUP_RULE.match(text):
        raise Refused(f"invalid device cgroup format '{text}'")
    return text


def _attach(text: str) -> str:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise Refused("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def _weighted_device(text: str) -> dict[str, Any]:
    path, colon, weight = text.partition(":")
    if not colon:
        raise Refused(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise Refused(f"bad format for device path: {text}")
    if not weight.isdigit() or (int(weight) and not 10 <= int(weight) <= 1000):
        raise Refused(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(weight)}


def _device_rate(with_units: bool) -> Any:
    def parse(text: str) -> dict[str, Any]:
        from fairway.cli.units import parse_size

        path, colon, rate = text.partition(":")
        if not colon:
            raise Refused(f"bad format: {text}")
        if not path.startswith("/dev/"):
            raise Refused(f"bad format for device path: {text}")
        try:
            return {"Path": path, "Rate": parse_size(rate) if with_units else int(rate)}
        except ValueError as error:
            unit = " Number must be a positive integer"
            unit += ". Unit is optional and can be kb, mb, or gb" if with_units else ""
            form = "<device-path>:<number>[<unit>]" if with_units else "<device-path>:<number>"
            raise Refused(f"invalid rate for device: {text}. The correct format is {form}.{unit}") from error

    return parse


def _gpus(text: str) -> dict[str, Any]:
    """``all``, a number, or ``device=…,driver=…,capabilities=…,count=…,options=…``."""
    from fairway.cli.kinds import STRINGS

    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": None, "Capabilities": [["gpu"]]}
    for field in STRINGS.parse(text):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key == "driver":
            request["Driver"] = value
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [sorted({"gpu", *value.split(",")})]
        elif key == "options":
            request["Options"] = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
        elif key == "count":
            if value != "all" and not value.lstrip("-").isdigit():
                raise Refused(
                    f'invalid count ({value}): value must be either "all" or an integer: invalid syntax'
                )
            request["Count"] = -1 if value == "all" else int(value)
        else:
            raise Refused(f"unexpected key '{key}' in '{field}'")
    if not request["Count"] and request["DeviceIDs"] is None:
        request["Count"] = 1
    request.setdefault("Options", {})
    return request


LINKS = listed("list", _link)
HOSTS = listed("list", _host)
DNS = listed("list", _dns)
DNS_SEARCH = listed("list", _search)
VARIABLES = listed("list", _variable)
LABELS = listed("list", _label)
SYSCTLS = Kind("map", _sysctl, dict, lambda before, value: {**before, **value})
ULIMITS = listed("ulimit", _ulimit)
CGROUP_RULES = listed("list", _cgroup_rule)
ATTACH = listed("list", _attach)
WEIGHTED_DEVICES = listed("list", _weighted_device)
BYTE_RATES = listed("list", _device_rate(True))
OPERATION_RATES = listed("list", _device_rate(False))
GPUS = listed("gpu-request", _gpus)
