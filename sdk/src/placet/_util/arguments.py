"""A function's arguments as a payload that people can read, and back."""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_type_hints

import msgspec

from placet._util.canonical_json import digest, plain
from placet._util.fields import json_names

_RETURN = "return"


class Arguments:
    """How the calls of one function become JSON objects, by parameter name, and calls again.

    An argument comes back as its annotation says, models of pydantic too, without one as JSON says
    it. ``hidden`` parameters, such as ``self`` or a connection, are no part of the payload.

    Raises TypeError for an annotation that JSON can't stand for, and for a hidden parameter that
    there is not.
    """

    def __init__(self, function: Callable[..., Any], hidden: Sequence[str] = ()) -> None:
        self._signature = inspect.signature(function)
        self._hidden = frozenset(hidden)
        if unknown := self._hidden - set(self._signature.parameters):
            msg = f"{function.__qualname__} has no parameter {', '.join(sorted(unknown))}"
            raise TypeError(msg)
        self.names = [name for name in self._signature.parameters if name not in self._hidden]
        self._types = _types(function, {*self.names, _RETURN})

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        """Give a call's arguments by name, defaults filled in. TypeError: they don't fit."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def payload(self, call: inspect.BoundArguments) -> dict[str, Any]:
        """Give the arguments that are shown as a JSON object.

        Raises ValueError for a value that JSON can't say or that its annotation does not allow.
        """
        payload = {name: plain(call.arguments[name], f"argument {name!r}") for name in self.names}
        # Told now, and not after people have agreed to what then can't be done.
        shown = self._shown(self.rebuilt(call, payload))
        if digest(shown) != digest(payload):
            msg = "the arguments do not come back from JSON as they are"
            raise ValueError(msg)
        for name, value in shown.items():
            if not _same(value, call.arguments[name]):
                msg = (
                    f"argument {name!r} does not come back from JSON as it is: a model must show"
                    " all that it holds, without secrets, excluded fields and private attributes"
                )
                raise ValueError(msg)
        return payload

    def rebuilt(
        self, call: inspect.BoundArguments, payload: Mapping[str, Any]
    ) -> inspect.BoundArguments:
        """Give the call with the payload's values; hidden arguments are those of ``call``."""
        arguments = dict(call.arguments)
        for name in self.names:
            arguments[name] = self._value(name, payload[name])
        return inspect.BoundArguments(self._signature, arguments)

    def result(self, value: Any) -> Any:
        """Give a recorded result as the function's annotation says it."""
        return _converted(value, self._types.get(_RETURN, Any), "the result")

    def _shown(self, call: inspect.BoundArguments) -> dict[str, Any]:
        return {name: call.arguments[name] for name in self.names}

    def _value(self, name: str, value: Any) -> Any:
        hint = self._types.get(name, Any)
        kind = self._signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(_converted(each, hint, f"argument {name!r}") for each in value)
        if kind is inspect.Parameter.VAR_KEYWORD:
            return {key: _converted(each, hint, f"argument {key!r}") for key, each in value.items()}
        return _converted(value, hint, f"argument {name!r}")


def _types(function: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """Give the annotations of these names, those that say nothing left out."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        msg = f"an annotation of {function.__qualname__} can't be resolved: {error}"
        raise TypeError(msg) from error
    hints = {name: hint for name, hint in hints.items() if name in names and hint is not object}
    for name, hint in hints.items():
        try:
            msgspec.json.schema(hint, schema_hook=_any_model)
        except TypeError as error:
            what = "the result" if name == _RETURN else f"parameter {name!r}"
            msg = (
                f"{what} of {function.__qualname__} is annotated {hint}, which JSON can't stand"
                " for: use plain types, dataclasses, Structs or models of pydantic, or hide it"
            )
            raise TypeError(msg) from error
    return hints


def _converted(value: Any, hint: Any, what: str) -> Any:
    try:
        return msgspec.convert(value, hint, dec_hook=_model)
    except msgspec.ValidationError as error:
        msg = f"{what}: {error}"
        raise ValueError(msg) from error


def _any_model(kind: type) -> dict[str, Any]:
    """Take models of pydantic for JSON, without importing it."""
    if hasattr(kind, "model_validate_json"):
        return {"type": "object"}
    raise NotImplementedError


def _model(kind: Any, value: Any) -> Any:
    # From JSON, because a strict model takes strings for dates only there.
    return kind.model_validate_json(json.dumps(value), by_alias=True, by_name=True)


def _same(rebuilt: Any, given: Any) -> bool:
    """Say whether models are what they were, which their JSON need not show."""
    if hasattr(given, "model_validate_json"):
        return _is_model(rebuilt, given)
    if isinstance(given, Mapping) and isinstance(rebuilt, Mapping):
        values = zip(rebuilt.values(), given.values(), strict=True)
    elif isinstance(given, list | tuple) and isinstance(rebuilt, list | tuple):
        values = zip(rebuilt, given, strict=True)
    else:
        names = json_names(given)
        shown = names.values() if isinstance(rebuilt, Mapping) else names
        values = zip(_fields(rebuilt, shown), _fields(given, names), strict=True)
    return all(_same(*each) for each in values)


def _is_model(rebuilt: Any, given: Any) -> bool:
    if type(rebuilt) is not type(given):
        # Without an annotation it comes back as JSON says it, which must be all that it holds too.
        try:
            rebuilt = _model(type(given), plain(rebuilt, "a model"))
        except ValueError:
            return False
    return bool(rebuilt == given)


def _fields(value: Any, names: Iterable[str]) -> list[Any]:
    if isinstance(value, Mapping):
        return [value.get(name) for name in names]
    return [getattr(value, name, None) for name in names]
