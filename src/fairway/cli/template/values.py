"""What Go's values look like from a template: printing, truth, kinds and order.

JSON gives None, bool, int, float, str, list and dict. Two kinds are added: ``Struct``, a decoded record whose
fields are known by Go's names and kept in Go's order, and ``Record``, a formatting context whose fields are
computed when asked for (``docker ps``'s ``.Status``). ``Nil`` is a typed nil pointer, which prints ``<nil>``;
None is an absent value, which prints ``<no value>``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final


class Nil:
    """A nil pointer whose type is known."""

    def __bool__(self) -> bool:
        return False


NIL: Final = Nil()


class NilList(list[Any]):
    """A nil slice: prints ``[]``, is ``null`` in JSON."""


class TextMap(dict[str, Any]):
    """A ``map[string]string``: ``index`` of a key that is not there gives the empty string."""


class NilMap(TextMap):
    """A nil map: prints ``map[]``, is ``null`` in JSON."""


class Time(str):
    """A time: ``{{.}}`` prints it as Go does (``text``), ``{{json .}}`` as it came."""

    text: str

    def __new__(cls, stamp: str, text: str) -> Time:
        found = super().__new__(cls, stamp)
        found.text = text
        return found


class Struct:
    """A decoded Go struct: values by field name, in declaration order.

    ``json_keys`` names the fields as JSON does where that differs, ``omitted`` those that it
    leaves out when empty. ``type_name`` is what Go's error texts call the type.
    """

    __slots__ = ("fields", "json_keys", "omitted", "type_name")

    def __init__(
        self,
        fields: dict[str, Any],
        json_keys: Mapping[str, str] = MappingProxyType({}),
        omitted: frozenset[str] = frozenset(),
        type_name: str = "struct",
    ) -> None:
        self.fields, self.json_keys, self.omitted = fields, json_keys, omitted
        self.type_name = type_name


class Record:
    """A row that a template is applied to; ``type_name`` is what Go's error texts call it.

    ``fields`` are values or zero-argument functions; ``methods`` take the template's arguments.
    """

    __slots__ = ("fields", "methods", "type_name")

    def __init__(
        self,
        type_name: str,
        fields: Mapping[str, Any],
        methods: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.type_name, self.fields, self.methods = type_name, fields, methods or {}

    def value(self, name: str) -> Any:
        """The field's value; KeyError when there is no such field."""
        found = self.fields[name]
        return found() if callable(found) else found


def truth(value: Any) -> bool:
    """Go's template truth: zero, nil and empty are false; a struct is always true."""
    return True if isinstance(value, Struct | Record) else bool(value)


def type_name(value: Any) -> str:
    """The type as Go's error texts name it."""
    if isinstance(value, Record | Struct):
        return value.type_name
    for kind, name in (
        (bool, "bool"),
        (int, "int"),
        (float, "float64"),
        (str, "string"),
        (list, "[]interface {}"),
        (dict, "map[string]interface {}"),
    ):
        if isinstance(value, kind):
            return name
    return "interface {}"


def show(value: Any, nested: bool = False) -> str:
    """``value`` as fmt's ``%v`` prints it. Absent: ``<no value>`` alone, ``<nil>`` inside another."""
    if value is None:
        return "<nil>" if nested else "<no value>"
    if isinstance(value, Nil):
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(item, True) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{show(value[key], True)}" for key in sorted(value)) + "]"
    if isinstance(value, Struct):
        return "{" + " ".join(show(item, True) for item in value.fields.values()) + "}"
    if isinstance(value, Time):
        return value.text
    if isinstance(value, Record):
        return show({name: value.value(name) for name in value.fields}, nested)
    return str(value)


def show_float(value: float) -> str:
    """Go's ``%v`` of a float64: the shortest form, with an exponent below 1e-4 and from 1e21."""
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        text = format(value, "f") if value == int(value) else repr(value)
        return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"


def encode_json(value: Any) -> str:
    """``{{json x}}``: compact, keys of maps sorted, keys of structs in their order.

    Docker escapes HTML in the rows of a listing, and only there.
    """
    text = json.dumps(jsonable(value), separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, Record):
        for char in "<>&":
            text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def jsonable(value: Any) -> Any:
    """``value`` as plain JSON data, ordered as Go's encoder orders it."""
    if isinstance(value, NilList | NilMap):
        return None
    if isinstance(value, Struct):
        return {
            value.json_keys.get(name, name): jsonable(item)
            for name, item in value.fields.items()
            if name not in value.omitted or item
        }
    if isinstance(value, Record):
        return {name: jsonable(value.value(name)) for name in sorted(value.fields)}
    if isinstance(value, dict):
        return {key: jsonable(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return None if isinstance(value, Nil) else value
