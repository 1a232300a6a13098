"""The digest of a step's arguments, by which a replay finds that it is called with others.

It must be the same for equal arguments in every process, and stay the same when a type gets a field
with a default. So it is not made of the JSON in which values are recorded.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isinf, isnan
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec

from placet._util.pydantic_models import is_model
from placet.approvals.clearance import Clearance

_NOT_COMPARED = {"not compared": True}
"""Stands for what has no value of its own, such as a connection or a function."""

_TEXTS = (str, date, time, timedelta, Decimal, UUID, PurePath, bytes, bytearray)
_SAFE = 2**53

_encode = msgspec.json.Encoder().encode


def arguments_digest(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Return ``sha256:`` and a hex SHA-256, None if the arguments can't be compared."""
    try:
        shape = [_shape(args), _shape(kwargs)] if kwargs else [_shape(args)]
        return "sha256:" + hashlib.sha256(_encode(shape)).hexdigest()
    except Exception:  # noqa: BLE001 - attributes of users' objects raise anything
        return None


def _shape(value: Any) -> Any:
    """Return JSON that tells a value apart from others."""
    kind = type(value)
    # The usual ones first, because a long replay does this for each step.
    if kind is str or kind is bool or value is None:
        return value
    if kind is tuple or kind is list:
        return [_shape(item) for item in value]
    return _number(value) if kind is int else _other_shape(value)


def _other_shape(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    match value:
        case None | bool():
            return value
        case int() | float():
            return _number(value)
        case Mapping():
            pairs = [[_shape(key), _shape(item)] for key, item in value.items()]
            return {"map": sorted(pairs, key=_encode)}
        case set() | frozenset():
            return {"set": sorted(map(_shape, value), key=_encode)}
        case list() | tuple():
            return [_shape(item) for item in value]
        case Clearance():
            return {"clearance": value.approval.id}
        case _ if isinstance(value, _TEXTS):
            return str(value)
        case _:
            return _object_shape(value)


def _object_shape(value: Any) -> Any:
    # The sdk's own objects say more in a later version, or show a later moment in a replay.
    if type(value).__module__.partition(".")[0] == "placet":
        return _NOT_COMPARED
    members = _members(value)
    if members is None:
        return _NOT_COMPARED
    return {name: _shape(item) for name, item in sorted(members)}


def _number(value: float) -> Any:
    # A number may come back from JSON as a whole one.
    if isinf(value) or isnan(value):
        return str(value)
    if value == int(value):
        value = int(value)
    return value if -_SAFE < value < _SAFE else str(value)


def _members(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Return the fields of an object that do not have their defaults, None if it has no fields."""
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        found = [(f.name, f.default, f.default_factory) for f in msgspec.structs.fields(kind)]
    elif is_dataclass(value):
        found = [(f.name, f.default, f.default_factory) for f in fields(value)]
    elif is_model(kind):
        found = [(n, f.default, f.default_factory) for n, f in kind.model_fields.items()]
        found += [(name, MISSING, MISSING) for name in value.model_extra or ()]
    else:
        return None
    return (
        (name, item)
        for name, default, factory in found
        if not _is_default(item := getattr(value, name), default, factory)
    )


def _is_default(value: Any, default: Any, factory: Any) -> bool:
    if callable(factory):
        try:
            default = factory()
        except Exception:  # noqa: BLE001 - one of pydantic may need the other fields
            return False
    same_kind = value.__class__ is default.__class__
    return value is default or (same_kind and bool(value == default))
