"""Request bodies into typed values, with the leniency of Go's ``encoding/json``.

Keys are matched without regard to case, unknown ones are ignored, a null leaves the default; a value of
another type is an error naming the field. The structs of ``model`` stay strict and simple: ``fit`` rewrites
the plain document to their exact form first, and only then are they built. Rejected: custom decoders per
struct, which would repeat these rules for each endpoint.
"""

from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

from fairway.api import gojson
from fairway.model.errors import InvalidParameter

LIMIT = 16 * 1024 * 1024
"""Largest request body that is read into memory, bytes."""

T = TypeVar("T")

_INT64 = range(-(2**63), 2**63)
_GO_TYPES: tuple[tuple[type[types.Type], str], ...] = (
    (types.StrType, "string"),
    (types.LiteralType, "string"),
    (types.IntType, "int64"),
    (types.FloatType, "float64"),
    (types.BoolType, "bool"),
    (types.DictType, "map[string]string"),
    (types.VarTupleType, "[]string"),
    (types.TupleType, "[2]uint"),
)


def document(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body counts as ``{}``.

    Raises InvalidParameter with Go's wording.
    """
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        reason = _reason(body) or str(error)
        raise InvalidParameter(f"invalid JSON: {reason}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParameter(f"invalid JSON: json: cannot unmarshal {_go_kind(value)} into Go value")
    return value


def _reason(body: bytes) -> str:
    try:
        reason = gojson.explain(body.decode(errors="replace"))
    except RecursionError:
        return "exceeded max depth"
    return "unexpected EOF" if reason == gojson.END else reason


def build(value: Mapping[str, Any], target: type[T], name: str) -> T:
    """A struct from a plain document; ``name`` is the type's name in error texts.

    Raises InvalidParameter: ``… cannot unmarshal number into Go struct field Config.Image of type string``.
    """
    kind: type = target
    fitted = fit(dict(value), _type_info(kind), name, "")
    try:
        return msgspec.convert(fitted, target)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid JSON: {error}") from None


def body(data: bytes, target: type[T], name: str) -> T:
    """``document`` and ``build`` at once."""
    return build(document(data), target, name)


def field(value: Mapping[str, Any], name: str) -> Any:
    """The member of a document by name, whatever its case; an exact match wins. None if absent."""
    if name in value:
        return value[name]
    folded = name.lower()
    return next((member for key, member in value.items() if key.lower() == folded), None)


def names(target: type) -> frozenset[str]:
    """The members of a struct as the API spells them."""
    return frozenset(each.encode_name for each in _fields(target).values())


@lru_cache(maxsize=64)
def _type_info(target: Hashable) -> types.Type:
    return types.type_info(target)


@lru_cache(maxsize=512)
def _fields(cls: type) -> Mapping[str, types.Field]:
    info = types.type_info(cls)
    assert isinstance(info, types.StructType)
    return {each.encode_name.lower(): each for each in info.fields}


def fit(value: Any, kind: types.Type, struct: str, path: str) -> Any:
    """``value`` with exact keys and without nulls, as ``kind`` wants it."""
    if isinstance(kind, types.UnionType):
        inner = [each for each in kind.types if not isinstance(each, types.NoneType)]
        return None if value is None else fit(value, inner[0], struct, path)
    if isinstance(kind, types.AnyType):
        return value
    if value is None:
        return zero(kind)
    if isinstance(kind, types.StructType):
        return _fit_struct(value, kind, struct, path)
    if isinstance(kind, types.DictType):
        _want(isinstance(value, dict), value, kind, struct, path)
        return {key: fit(each, kind.value_type, struct, path) for key, each in value.items()}
    if isinstance(kind, types.VarTupleType | types.ListType):
        _want(isinstance(value, list), value, kind, struct, path)
        return [fit(each, kind.item_type, struct, path) for each in value]
    if isinstance(kind, types.TupleType):
        _want(isinstance(value, list), value, kind, struct, path)
        padded = [*value, *[None] * len(kind.item_types)]  # Go fills an array up and drops what is too much
        return [fit(each, item, struct, path) for each, item in zip(padded, kind.item_types, strict=False)]
    return _fit_scalar(value, kind, struct, path)


def _fit_struct(value: Any, kind: types.StructType, struct: str, path: str) -> dict[str, Any]:
    _want(isinstance(value, dict), value, kind, struct, path)
    fields = _fields(kind.cls)
    fitted = {}
    for key, member in value.items():
        known = fields.get(key.lower())
        if known is None or member is None:
            continue
        inner = f"{path}.{known.encode_name}" if path else known.encode_name
        fitted[known.encode_name] = fit(member, known.type, struct, inner)
    for missing in fields.values():
        if missing.required and missing.encode_name not in fitted:
            fitted[missing.encode_name] = zero(missing.type)
    return fitted


def _fit_scalar(value: Any, kind: types.Type, struct: str, path: str) -> Any:
    if isinstance(kind, types.BoolType):
        _want(isinstance(value, bool), value, kind, struct, path)
    elif isinstance(kind, types.IntType):
        whole = isinstance(value, int) and not isinstance(value, bool)
        _want(whole and value in _INT64, value, kind, struct, path)
    elif isinstance(kind, types.StrType):
        _want(isinstance(value, str), value, kind, struct, path)
    elif isinstance(kind, types.LiteralType):
        _want(isinstance(value, str), value, kind, struct, path)
        if value not in kind.values:
            raise InvalidParameter(_unknown_word(path, value))
    return value


def _unknown_word(path: str, value: str) -> str:
    if path.endswith("RestartPolicy.Name"):
        return (
            f"invalid restart policy: unknown policy '{value}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if path.endswith("Mounts.Type"):
        return f'invalid mount config for type "{value}": mount type unknown'
    return f"invalid value {value!r} for {path}"


def zero(kind: types.Type) -> Any:
    """Go's zero value, which a null stands for inside lists and maps."""
    if isinstance(kind, types.StrType):
        return ""
    if isinstance(kind, types.BoolType):
        return False
    if isinstance(kind, types.IntType | types.FloatType):
        return 0
    if isinstance(kind, types.VarTupleType | types.ListType):
        return []
    if isinstance(kind, types.StructType):
        return _fit_struct({}, kind, "", "")
    return {} if isinstance(kind, types.DictType) else None


def _go_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number" if isinstance(value, int) and value in _INT64 else f"number {value}"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _want(fits: bool, value: Any, kind: types.Type, struct: str, path: str) -> None:
    if fits:
        return
    go_type = next((name for known, name in _GO_TYPES if isinstance(kind, known)), None)
    if go_type is None:
        go_type = kind.cls.__name__ if isinstance(kind, types.StructType) else "value"
    where = f"Go struct field {struct}.{path}" if path else "Go value"
    raise InvalidParameter(
        f"invalid JSON: json: cannot unmarshal {_go_kind(value)} into {where} of type {go_type}"
    )
