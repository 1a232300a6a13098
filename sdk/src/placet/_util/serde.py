"""Values of the types that functions say they give, from the JSON that was recorded of them."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_type_hints

import msgspec

from placet._util.canonical_json import plain

Convert = Callable[[Any], Any]

_UNTYPED = (Any, object, None, type(None))


def returned(fn: Callable[..., Any]) -> Convert:
    """Give what turns JSON into the type that the function says it returns."""
    if "return" not in getattr(fn, "__annotations__", {}):
        return as_it_is
    return converter(_hint(fn, "return"))


def taken(fn: Callable[..., Any], parameter: str) -> Convert:
    """Give what turns JSON into the type of a function's parameter."""
    if parameter not in getattr(fn, "__annotations__", {}):
        return as_it_is
    return converter(_hint(fn, parameter))


def as_it_is(value: Any) -> Any:
    """Give the value."""
    return value


def converter(kind: Any) -> Convert:
    """Give what turns JSON into a type: any that msgspec knows, and models of pydantic.

    It raises ValueError for JSON that is not of the type. What is no such type leaves the JSON as
    it is.
    """
    try:
        return _converter(kind)
    except TypeError:  # A type that can't be a key of the cache.
        return as_it_is


@lru_cache(maxsize=1024)
def _converter(kind: Any) -> Convert:
    if kind in _UNTYPED:
        return as_it_is
    try:
        msgspec.json.Decoder(kind, dec_hook=_decode)
    except TypeError:
        return as_it_is

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, kind, dec_hook=_decode, str_keys=True)
        except NotImplementedError:
            return value
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error

    return convert


def _decode(kind: type, value: Any) -> Any:
    validate = getattr(kind, "model_validate", None)
    if validate is None:
        raise NotImplementedError
    return validate(value)


def _hint(fn: Callable[..., Any], name: str) -> Any:
    try:
        return get_type_hints(fn).get(name)
    except Exception:  # noqa: BLE001 - a name that only a type checker knows, say
        return None


def recorded(value: Any, convert: Convert, what: str) -> Any:
    """Give the JSON to record of a value. Raises ValueError if it is none, or not of its type."""
    result = plain(value, what)
    try:
        convert(result)
    except (ValueError, TypeError) as error:
        msg = f"{what} is not what its annotation says: {error}"
        raise ValueError(msg) from error
    return result
