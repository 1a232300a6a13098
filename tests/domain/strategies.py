"""Hypothesis strategies for any value of the domain, drawn from its type."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from domain.aggregates import ALL_EVENT_TYPES
from domain.execution.events import Recorded
from domain.serialization.canonical_json import MAX_SAFE_INTEGER

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    Any: json_values,
    str: st.text(max_size=12),
    int: st.integers(1, MAX_SAFE_INTEGER),
    bool: st.booleans(),
    datetime: st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    timedelta: st.timedeltas(timedelta(0), timedelta(days=36_500)),
    UUID: st.uuids(),
    type(None): st.none(),
}


def of_type(wanted: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a type that the domain uses in its structs."""
    if wanted in _SIMPLE:
        return _SIMPLE[wanted]
    if get_origin(wanted) in (Union, UnionType):
        return st.one_of(*(of_type(each) for each in get_args(wanted)))
    if get_origin(wanted) is tuple:
        element, *_ = get_args(wanted)
        return st.lists(of_type(element), max_size=3).map(tuple)
    if issubclass(wanted, Enum):
        return st.sampled_from(list(wanted))
    if issubclass(wanted, msgspec.Struct):
        fields = msgspec.structs.fields(wanted)
        return st.builds(wanted, **{field.name: of_type(field.type) for field in fields})
    raise TypeError(wanted)


def recorded_of(event_type: type) -> st.SearchStrategy[Recorded]:
    """Return a strategy for recorded events of this type, with any envelope."""
    fields = {
        field.name: of_type(event_type if field.name == "event" else field.type)
        for field in msgspec.structs.fields(Recorded)
    }
    return st.builds(Recorded, **fields)


any_recorded = st.sampled_from(ALL_EVENT_TYPES).flatmap(recorded_of)
