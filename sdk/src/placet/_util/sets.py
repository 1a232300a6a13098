"""Sets as JSON: in one order, which that of their hashes is not from process to process."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from placet._util.fields import json_names

_SCALARS = (str, int, float, bool, type(None))


def in_order(value: Any, built: Any) -> Any:
    """Give ``built``, which was made of ``value`` in builtin types, with what were sets sorted.

    Numbers come first, then strings, then all else by its JSON. Looks into dicts, lists, tuples,
    sets, and what has its fields as attributes: dataclasses, Structs, models of pydantic.
    """
    if isinstance(value, _SCALARS):
        return built
    match built:
        case dict():
            items = value if isinstance(value, Mapping) else _fields(value, built)
            if len(items) == len(built):
                return dict(zip(built, map(in_order, items.values(), built.values()), strict=True))
        case list() | tuple():
            if isinstance(value, set | frozenset):
                return sorted(map(in_order, value, built), key=_rank)
            parts = msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value
            if isinstance(parts, list | tuple) and len(parts) == len(built):
                return list(map(in_order, parts, built))
    return built


def _fields(value: Any, built: dict[str, Any]) -> dict[str, Any]:
    """Give what an object holds under the names under which it was written."""
    held = {written: getattr(value, name) for name, written in json_names(value).items()}
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
