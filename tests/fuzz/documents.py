"""JSON documents that nearly fit a struct: its members, with values that fit, nearly fit, or not at all."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types

from fuzz.requests_to_api import WORDS

_INTEGERS = (0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**63, 2**64, 10**400, 65535, 65536, 1024, 10**9)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_INTEGERS),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), st.text()), inner, max_size=3),
    ),
    max_leaves=8,
)


def fitting(target: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents for a struct: some of its members, their names in any case."""
    return _struct(types.type_info(target))


def _struct(kind: types.Type) -> st.SearchStrategy[Any]:
    assert isinstance(kind, types.StructType)
    members = {each.encode_name: each.type for each in kind.fields}
    names = st.lists(st.sampled_from(sorted(members)), max_size=4, unique=True) if members else st.just([])
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: _nearly(members[name]) for name in chosen})
    ).flatmap(_spelled)


def _spelled(document: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([document] * 8 + [{name.lower(): value for name, value in document.items()}])


def _nearly(kind: types.Type) -> st.SearchStrategy[Any]:
    """One in ten is anything."""
    return st.integers(0, 9).flatmap(lambda chance: _value(kind) if chance else ANYTHING)


def _value(kind: types.Type) -> st.SearchStrategy[Any]:
    match kind:
        case types.UnionType():
            return st.one_of(*(_value(each) for each in kind.types))
        case types.StructType():
            return _struct(kind)
        case types.DictType():
            return st.dictionaries(_value(kind.key_type), _nearly(kind.value_type), max_size=3)
        case types.VarTupleType() | types.ListType():
            return st.lists(_nearly(kind.item_type), max_size=3)
        case types.TupleType():
            return st.tuples(*(_nearly(each) for each in kind.item_types)).map(list)
        case types.StrType():
            return st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
        case types.LiteralType():
            return st.sampled_from(kind.values)
        case types.IntType():
            return st.one_of(st.sampled_from(_INTEGERS[:6]), st.integers(-(2**63), 2**63 - 1))
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
        case _:
            return ANYTHING
