"""Reads pydantic models from JSON. ``serde`` writes them, and uses this to read them back.

They are written by ``model_dump(mode="json")``: by field name, unless their own configuration says
otherwise, and with their computed fields. So they are read by field name, by alias where the JSON
came from somewhere else, and without the computed fields.

Pydantic is never imported here. Its models are recognised by their methods, so that an application
without pydantic does not load it.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec


def is_model(kind: Any) -> bool:
    """Whether this is a class of pydantic models."""
    return isinstance(kind, type) and hasattr(kind, "model_validate_json")


def is_root_model(kind: Any) -> bool:
    """Whether this is a class of models whose JSON is that of their one value."""
    return bool(getattr(kind, "__pydantic_root_model__", False))


def read_model(kind: Any, value: Any) -> Any:
    """Read a pydantic model. Raises ValueError for JSON that is not of the model."""
    # From JSON text, because a strict model takes strings as dates only there.
    return kind.model_validate_json(_model_text(kind, value), **_lookup(kind))


def adapted(kind: Any) -> Callable[[Any], Any] | None:
    """Read by pydantic what msgspec can't: unions of models with something else, above all."""
    if not models(kind):
        return None
    try:
        adapter = sys.modules["pydantic"].TypeAdapter(kind)
    except Exception:  # noqa: BLE001 - pydantic does not know the type either
        return None
    lookup = _lookup(kind)
    return lambda value: adapter.validate_json(_model_text(kind, value), **lookup)


def _lookup(kind: Any) -> dict[str, bool]:
    return {"by_name": True, "by_alias": not _ambiguous(kind)}


def _model_text(kind: Any, value: Any) -> bytes:
    return msgspec.json.encode(_as_read(kind, value) if _rewritten(kind) else value)


@lru_cache(maxsize=1024)
def models(kind: Any) -> frozenset[Any]:
    """Return the classes of pydantic models that a type consists of."""
    found: set[Any] = set()
    seen: list[Any] = []
    todo = [kind]
    while todo:
        each = todo.pop()
        if each in seen:
            continue
        seen.append(each)
        todo.extend(get_args(each))
        if is_model(each):
            found.add(each)
            todo.extend(field.annotation for field in each.model_fields.values())
        elif isinstance(each, type) and (is_dataclass(each) or hasattr(each, "__required_keys__")):
            todo.extend(_hints(each))
    return frozenset(found)


def _hints(kind: Any) -> Iterator[Any]:
    try:
        yield from get_type_hints(kind).values()
    except Exception:  # noqa: BLE001 - an annotation may use a name that only type checkers know
        return


def field_names(model: Any) -> dict[str, str]:
    """Map the fields of a model to the names under which they are written."""
    aliased = model.model_config.get("serialize_by_alias")
    return {
        name: (aliased and field.serialization_alias) or name
        for name, field in model.model_fields.items()
    }


def computed_names(model: Any) -> dict[str, str]:
    """Map the computed fields of a model to the names under which they are written."""
    aliased = model.model_config.get("serialize_by_alias")
    return {
        name: (aliased and field.alias) or name
        for name, field in model.model_computed_fields.items()
    }


@lru_cache(maxsize=1024)
def _ambiguous(kind: Any) -> bool:
    """Whether the alias of a field is the name of another: only names tell them apart."""
    return any(
        field.alias != name and field.alias in model.model_fields
        for model in models(kind)
        for name, field in model.model_fields.items()
    )


@lru_cache(maxsize=1024)
def _rewritten(kind: Any) -> bool:
    """Whether what is written differs from what can be read."""
    return any(
        model.model_computed_fields or model.model_config.get("serialize_by_alias")
        for model in models(kind)
    )


def _as_read(kind: Any, value: Any) -> Any:
    """Return what was written of a type as pydantic reads it: by name, without computed fields."""
    args = get_args(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        return _as_read(args[0], value)
    if origin in {Union, UnionType}:
        fitting = next((each for each in args if _fits(each, value)), None)
        return value if fitting is None else _as_read(fitting, value)
    if is_model(kind):
        return _model_as_read(kind, value)
    match value:
        case dict() if args:
            return {key: _as_read(args[-1], each) for key, each in value.items()}
        case list() if origin is tuple and Ellipsis not in args and len(args) == len(value):
            return list(map(_as_read, args, value))
        case list() if args:
            return [_as_read(args[0], each) for each in value]
    return value


def _model_as_read(model: Any, value: Any) -> Any:
    hints = model.model_fields
    if is_root_model(model):
        return _as_read(hints["root"].annotation, value)
    if not isinstance(value, dict):
        return value
    names = {written: name for name, written in field_names(model).items()}
    left_out = set(computed_names(model).values()) - names.keys()
    given = {names.get(key, key): each for key, each in value.items() if key not in left_out}
    return {
        name: _as_read(hints[name].annotation, each) if name in hints else each
        for name, each in given.items()
    }


def _fits(kind: Any, value: Any) -> bool:
    """Whether a member of a union may be what was written."""
    if get_origin(kind) is Annotated:
        return _fits(get_args(kind)[0], value)
    if not is_model(kind):
        container = dict if get_origin(kind) in {dict, Mapping} else list
        return bool(get_args(kind)) and isinstance(value, container)
    if is_root_model(kind):
        return _fits(kind.model_fields["root"].annotation, value)
    written = {*field_names(kind).values(), *computed_names(kind).values()}
    return isinstance(value, dict) and set(value) == written
