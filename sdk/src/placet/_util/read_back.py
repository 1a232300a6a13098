"""Checks that a value that was written as JSON comes back as it was, before it is relied on."""

from collections.abc import Iterable, Mapping
from typing import Any

from placet._util.pydantic_models import is_model, read_model
from placet._util.serde import Read, as_it_is, json_names, plain, reader

_PLAIN = (str, int, float, bool, type(None))


def recorded(value: Any, read: Read, what: str) -> Any:
    """Return the JSON to record of a value.

    Raises ValueError if it can't be written as JSON, if ``read`` does not take what is written, or
    if what it reads is not the same value.
    """
    written = plain(value, what)
    if read is as_it_is:
        return written
    try:
        back = read(written)
    except (ValueError, TypeError) as error:
        msg = f"{what} is not what its annotation says: {error}"
        raise ValueError(msg) from error
    if _equal_json(back, value):
        return written
    if plain(back, what) != written or not same(back, value):
        msg = (
            f"{what} does not come back from JSON as it is: its type must be the annotated one, and"
            " a model must show everything that it holds, so it can't have secrets, excluded fields"
            " or private attributes"
        )
        raise ValueError(msg)
    return written


def _equal_json(back: Any, value: Any) -> bool:
    """Whether both are plain JSON, and equal with all their types."""
    kind = type(value)
    if type(back) is not kind:
        return False
    if kind is dict:
        return back.keys() == value.keys() and all(
            type(key) is str and _equal_json(back[key], item) for key, item in value.items()
        )
    if kind is list:
        return len(back) == len(value) and all(map(_equal_json, back, value))
    return kind in _PLAIN and bool(back == value)


def reader_like(value: Any) -> Read:
    """Return the function that reads what is written of a value, with all the types that it has."""
    kind = type(value)
    if kind in _PLAIN:
        return as_it_is
    if kind is dict:
        members = [(_written_name(key), key, reader_like(item)) for key, item in value.items()]
        if all(name is key and read is as_it_is for name, key, read in members):
            return as_it_is
        return lambda written: {key: read(written[name]) for name, key, read in members}
    if kind in {list, tuple}:
        readers = [reader_like(item) for item in value]
        if kind is list and all(read is as_it_is for read in readers):
            return as_it_is
        return lambda written: kind(read(item) for read, item in zip(readers, written, strict=True))
    if kind in {set, frozenset}:
        kinds = {type(item) for item in value}
        return reader(kind[kinds.pop()]) if len(kinds) == 1 else kind
    return reader(kind)


def _written_name(key: Any) -> str:
    if type(key) is str:
        return key
    [name] = plain({key: None}, "a key")
    return str(name)


def same(back: Any, given: Any) -> bool:
    """Whether models are what they were: their JSON need not show everything that they hold."""
    if is_model(type(given)):
        return _is_same_model(back, given)
    if isinstance(given, Mapping) and isinstance(back, Mapping):
        values = zip(back.values(), given.values(), strict=True)
    elif isinstance(given, list | tuple) and isinstance(back, list | tuple):
        values = zip(back, given, strict=True)
    else:
        names = json_names(given)
        shown = names.values() if isinstance(back, Mapping) else names
        values = zip(_fields(back, shown), _fields(given, names), strict=True)
    return all(same(*each) for each in values)


def _is_same_model(back: Any, given: Any) -> bool:
    if type(back) is not type(given):
        # Without an annotation it comes back as plain JSON, which must be complete too.
        try:
            back = read_model(type(given), plain(back, "a model"))
        except ValueError:
            return False
    return bool(back == given)


def _fields(value: Any, names: Iterable[str]) -> list[Any]:
    if isinstance(value, Mapping):
        return [value.get(name) for name in names]
    return [getattr(value, name, None) for name in names]
