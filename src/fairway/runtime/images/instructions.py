"""Dockerfile instructions as ``--change`` takes them: ``docker commit -c`` and ``docker import -c``.

Only those that alter the image's configuration are allowed; they act on the configuration in its JSON form
(OCI ``config`` object), because that is what is written. Order matters: ENTRYPOINT resets an inherited CMD,
WORKDIR is relative to the one before, and variables expand from the environment so far. Reference:
https://docs.docker.com/reference/dockerfile/; texts of errors are BuildKit's.
"""

import json
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from signal import Signals
from typing import Any

from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal
from fairway.runtime.images import words

Document = dict[str, Any]

_SHELL = ["/bin/sh", "-c"]
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?")
_HEALTH_FLAGS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def apply_changes(config: Mapping[str, Any], changes: Sequence[str]) -> Document:
    """The configuration after the instructions, the argument unchanged.

    Raises InvalidParameter naming what is wrong with an instruction.
    """
    result = {
        key: value.copy() if isinstance(value, (dict, list)) else value for key, value in config.items()
    }
    seen: set[str] = set()
    for line in _lines(changes):
        verb, _, rest = line.partition(" ") if " " in line else line.partition("\t")
        instruction = _INSTRUCTIONS.get(verb.upper())
        if instruction is None:
            raise InvalidParameter(f"{verb} is not a valid change command")
        if not rest.strip():
            raise InvalidParameter(f"dockerfile parse error: {verb.upper()} requires at least one argument")
        instruction(result, rest.strip())
        seen.add(verb.upper())
        if verb.upper() == "ENTRYPOINT" and "CMD" not in seen:
            result["Cmd"] = None
    return result


def _lines(changes: Sequence[str]) -> list[str]:
    joined = re.sub(r"\\[ \t]*\n", "", "\n".join(changes))
    return [
        line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def _environment(config: Document) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in config.get("Env") or ())


def _split(config: Document, text: str) -> list[str]:
    return words.split(text, _environment(config))


def _single(config: Document, text: str, verb: str) -> str:
    parts = _split(config, text)
    if len(parts) != 1:
        raise InvalidParameter(f"{verb} requires exactly one argument")
    return parts[0]


def _json_array(text: str) -> list[str] | None:
    """The exec form, or None when the text is not JSON and so the shell form."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameter("when using JSON array syntax, arrays must be comprised of strings only")
    return value


def _command(config: Document, text: str) -> list[str]:
    exec_form = _json_array(text)
    return exec_form if exec_form is not None else [*(config.get("Shell") or _SHELL), text]


def _cmd(config: Document, text: str) -> None:
    config["Cmd"] = _command(config, text)


def _entrypoint(config: Document, text: str) -> None:
    config["Entrypoint"] = _command(config, text) or None


def _pairs(config: Document, text: str, verb: str) -> list[tuple[str, str]]:
    """``k=v k2="v 2"``, or the old ``k the rest of the line``."""
    known = _environment(config)
    first = text.split(None, 1)
    if "=" not in first[0]:
        if len(first) != 2:
            raise InvalidParameter(f"{verb} must have two arguments")
        return [(first[0], words.expand(first[1], known))]
    pairs = []
    for word in words.split(text, known):
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidParameter(
                f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value'
            )
        if not key:
            raise InvalidParameter(f"{verb} names can not be blank")
        pairs.append((key, value))
    return pairs


def _env(config: Document, text: str) -> None:
    merged = _environment(config) | dict(_pairs(config, text, "ENV"))
    config["Env"] = [f"{key}={value}" for key, value in merged.items()]


def _label(config: Document, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(config, text, "LABEL"))}


def _expose(config: Document, text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in _split(config, text):
        match = _PORT.fullmatch(word.lower())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if match is None or not 0 < first <= last <= 65535:
            raise InvalidParameter(f"invalid containerPort: {word}")
        ports |= {f"{port}/{match[3] or 'tcp'}": {} for port in range(first, last + 1)}
    config["ExposedPorts"] = ports


def _user(config: Document, text: str) -> None:
    config["User"] = _single(config, text, "USER")


def _workdir(config: Document, text: str) -> None:
    path = _single(config, text, "WORKDIR")
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", config.get("WorkingDir") or "", path))


def _volume(config: Document, text: str) -> None:
    paths = _json_array(text)
    paths = _split(config, text) if paths is None else paths
    if any(not path for path in paths):
        raise InvalidParameter("VOLUME specified can not be an empty string")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}


def _stopsignal(config: Document, text: str) -> None:
    value = _single(config, text, "STOPSIGNAL")
    names = {name.removeprefix("SIG") for name in Signals.__members__}
    realtime = re.fullmatch(r"RTM(IN|AX)([+-]\d+)?", value.upper().removeprefix("SIG"))
    number = decimal(value, 64)
    if not (number or realtime or value.upper().removeprefix("SIG") in names):
        raise InvalidParameter(f"Invalid signal: {value}")
    config["StopSignal"] = value


def _onbuild(config: Document, text: str) -> None:
    trigger = text.split(None, 1)[0].upper()
    if trigger == "ONBUILD":
        raise InvalidParameter("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if trigger in ("FROM", "MAINTAINER"):
        raise InvalidParameter(f"{trigger} isn't allowed as an ONBUILD trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _healthcheck(config: Document, text: str) -> None:
    check: Document = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, equals, value = flag[2:].partition("=")
        if name == "retries" and equals:
            check["Retries"] = _retries(value)
        elif name in _HEALTH_FLAGS and equals:
            check[_HEALTH_FLAGS[name]] = _duration(value, f"--{name}")
        else:
            raise InvalidParameter(f"unknown flag: {name}")
        text = text.strip()
    kind, _, command = text.partition(" ")
    match kind.upper():
        case "NONE" if command.strip():
            raise InvalidParameter("HEALTHCHECK NONE takes no arguments")
        case "NONE":
            check = {"Test": ["NONE"]}
        case "CMD" if not command.strip():
            raise InvalidParameter("Missing command after HEALTHCHECK CMD")
        case "CMD":
            exec_form = _json_array(command.strip())
            check["Test"] = ["CMD-SHELL", command.strip()] if exec_form is None else ["CMD", *exec_form]
        case _:
            raise InvalidParameter(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    config["Healthcheck"] = check


def _retries(text: str) -> int:
    number = decimal(text)
    if number is None:
        raise InvalidParameter(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return number


def _duration(text: str, flag: str) -> int:
    """Nanoseconds of a Go duration: ``1m30s``, ``500ms``."""
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", text)
    if "".join(number + unit for number, unit in parts) != text or not parts:
        raise InvalidParameter(f'time: invalid duration "{text}"')
    total = int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    if 0 < total < _UNITS["ms"]:
        raise InvalidParameter(f'Interval "{flag}" cannot be less than 1ms')
    return total


_INSTRUCTIONS: dict[str, Callable[[Document, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
