"""Typed values as JSON, and JSON as typed values. What is written reads back equal.

:func:`plain` writes any value of a supported type. :func:`reader` gives the function that reads the
type named by an annotation. Supported are plain JSON values, dataclasses, msgspec Structs, pydantic
models, TypedDicts, named tuples, enums, datetimes, UUIDs, Decimals, sets, tuples, and unions whose
members can be told apart in JSON.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from placet._util.pydantic_models import (
    adapted,
    computed_names,
    field_names,
    is_model,
    is_root_model,
    models,
    read_model,
)

Read = Callable[[Any], Any]
"""Turns plain JSON into a value of one type. Raises ValueError for JSON that is not of the type."""

_SCALARS = (str, int, float, bool, type(None))
_UNTYPED = (Any, object, None, type(None))


# Writing


def plain(value: Any, what: str) -> Any:
    """Return the value as JSON would give it back: dicts, lists, strings, numbers, bools, None.

    Sets become sorted lists. The result is what a workflow gets both when it runs and when it is
    replayed, and what digests are computed of, so it must never change for a given value. ``what``
    names the value in the ValueError that is raised for anything that JSON can't express.
    """
    try:
        # The encoder of msgspec writes a number that is not finite as null, which changes it.
        built = value if _is_json(value) else _builtins(value)
        text = json.dumps(built, allow_nan=False, ensure_ascii=False)
        # A lone surrogate is not text, although a JSON escape can express it.
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"{what} is not JSON: {error}"
        raise ValueError(msg) from error
    return json.loads(text)


def json_names(value: Any) -> dict[str, str]:
    """Map the attributes of a dataclass, a Struct or a pydantic model to their names in JSON.

    Empty for anything else.
    """
    if isinstance(value, msgspec.Struct):
        return dict(zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True))
    if is_dataclass(value):
        return {each.name: each.name for each in fields(value)}
    if is_model(type(value)):
        return field_names(type(value)) | computed_names(type(value))
    return {}


def _is_json(value: Any) -> bool:
    """Whether a value is made of nothing but what JSON has, as most results and payloads are."""
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_json(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_json, value))
    return kind in _SCALARS


def _builtins(value: Any) -> Any:
    return _sorted_sets(value, msgspec.to_builtins(value, str_keys=True, enc_hook=_dump))


def _dump(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        msg = f"a {type(value).__name__} can't be written as JSON"
        raise TypeError(msg)
    return dump(mode="json")


def _sorted_sets(value: Any, built: Any) -> Any:
    """Return ``built``, which was made of ``value``, with the lists made of sets sorted.

    The order of a set differs from process to process. Numbers come first, then strings, then
    everything else by its JSON.
    """
    if isinstance(value, _SCALARS):
        return built
    if is_root_model(type(value)):
        return _sorted_sets(value.root, built)
    match built:
        case dict():
            items = value if isinstance(value, Mapping) else _held(value, built)
            if isinstance(value, Mapping) and len(items) != len(built):
                msg = "two keys of a dict become the same name"
                raise ValueError(msg)
            if len(items) == len(built):
                pairs = zip(items.values(), built.values(), strict=True)
                return dict(zip(built, (_sorted_sets(*pair) for pair in pairs), strict=True))
        case list() | tuple():
            if isinstance(value, set | frozenset):
                return sorted(map(_sorted_sets, value, built), key=_rank)
            parts = msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value
            if isinstance(parts, list | tuple) and len(parts) == len(built):
                return list(map(_sorted_sets, parts, built))
    return built


def _held(value: Any, built: dict[str, Any]) -> dict[str, Any]:
    """Return what an object holds, by the names under which it was written."""
    # Only what may contain a set is looked at: a computed field has a price.
    held = {
        written: getattr(value, name)
        for name, written in json_names(value).items()
        if isinstance(built.get(written), dict | list | tuple)
    }
    return {written: held.get(written) for written in built}


def _rank(item: Any) -> tuple[int, float, str]:
    match item:
        case bool() | None:
            return 2, 0, json.dumps(item)
        case int() | float():
            return 0, item, ""
        case str():
            return 1, 0, item
        case _:
            return 2, 0, json.dumps(item, sort_keys=True)


# Reading


def reader(kind: Any) -> Read:
    """Return the function that reads a type. A type that can't be read leaves the JSON as it is."""
    try:
        return _reader(kind) or as_it_is
    except TypeError:  # The type can't be a key of the cache.
        return as_it_is


def check_readable(kind: Any) -> None:
    """Raise TypeError for a type that can't be read, and say why."""
    if kind is object:
        return
    try:
        msgspec.json.schema(kind, schema_hook=_model_schema)
    except TypeError:
        if _reader(kind) is None or not models(kind):
            raise


def as_it_is(value: Any) -> Any:
    """Return the value."""
    return value


def returned(fn: Callable[..., Any]) -> Read:
    """Return the function that reads what ``fn`` returns, by its annotation."""
    return _annotated(fn, "return")


def taken(fn: Callable[..., Any], parameter: str) -> Read:
    """Return the function that reads a parameter of ``fn``, by its annotation."""
    return _annotated(fn, parameter)


def _annotated(fn: Callable[..., Any], name: str) -> Read:
    if name not in getattr(fn, "__annotations__", {}):
        return as_it_is
    try:
        # Without extras: what was recorded once is not judged by constraints added later.
        return reader(get_type_hints(fn).get(name))
    except Exception:  # noqa: BLE001 - the annotation may use a name that only type checkers know
        return as_it_is


@lru_cache(maxsize=1024)
def _reader(kind: Any) -> Read | None:
    """Return the function that reads a type, None if there is none."""
    if kind in _UNTYPED:
        return as_it_is
    try:
        msgspec.json.Decoder(kind, dec_hook=_read_model)
    except TypeError:
        return adapted(kind)

    def read(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind, dec_hook=_read_model, str_keys=True)
        except NotImplementedError:
            return value
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    return read


def _model_schema(kind: type) -> dict[str, Any]:
    if is_model(kind):
        return {"type": "object"}
    raise NotImplementedError


def _read_model(kind: Any, value: Any) -> Any:
    if not is_model(kind):
        raise NotImplementedError
    return read_model(kind, value)
