"""What differs between JSON values: by the paths of their parts."""

from collections.abc import Sequence
from typing import Any

import msgspec

from api.console.views.fields import Cell, cell

_MISSING: Any = object()


class Difference(msgspec.Struct, frozen=True):
    """A part that is not the same in all values. None: a value has no such part."""

    path: str
    values: tuple[Cell | None, ...]


def differences(values: Sequence[Any]) -> list[Difference]:
    """Return the parts that differ, in the order in which they first come."""
    parts = [_parts(value) for value in values]
    paths = dict.fromkeys(path for found in parts for path in found)
    differing = []
    for path in paths:
        there = [found.get(path, _MISSING) for found in parts]
        if any(not _same(one, there[0]) for one in there):
            cells = tuple(None if one is _MISSING else cell(one) for one in there)
            differing.append(Difference(path, cells))
    return differing


def _parts(value: Any) -> dict[str, Any]:
    """Return every value without parts by its path, such as ``lines.2.price``."""
    found: dict[str, Any] = {}
    left = [("", value)]
    while left:
        path, one = left.pop()
        if isinstance(one, dict) and one:
            left += [(_join(path, key), member) for key, member in reversed(one.items())]
        elif isinstance(one, list) and one:
            numbered = list(enumerate(one, 1))
            left += [(_join(path, str(number)), item) for number, item in reversed(numbered)]
        else:
            found[path] = one
    return found


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part


def _same(one: Any, other: Any) -> bool:
    # In Python true equals 1.
    return type(one) is type(other) and bool(one == other)
