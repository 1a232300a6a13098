"""The arguments of a function as a payload that people can read, and the payload as arguments."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_type_hints

from placet._util.canonical_json import digest
from placet._util.pydantic_models import is_model, read_model
from placet._util.serde import check_readable, json_names, plain, reader

_RETURN = "return"


class Arguments:
    """Turns the calls of one function into JSON objects, by parameter name, and back into calls.

    An argument is read back by its annotation. Without an annotation it stays plain JSON.
    ``hidden`` parameters, such as ``self`` or a connection, are not part of the payload.

    Raises TypeError for an annotation that can't be read from JSON, and for a hidden parameter that
    does not exist.
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
        """Bind the arguments of a call by name, with defaults. Raises TypeError as a call does."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def payload(self, call: inspect.BoundArguments) -> dict[str, Any]:
        """Return the arguments that are shown, as a JSON object.

        Raises ValueError for a value that JSON can't express or that does not fit its annotation.
        """
        payload = {name: plain(call.arguments[name], f"argument {name!r}") for name in self.names}
        # Checked before people are asked, because afterwards the call could not be made.
        shown = self._shown(self.rebuilt(call, payload))
        if digest(shown) != digest(payload):
            msg = "the arguments do not come back from JSON as they are"
            raise ValueError(msg)
        for name, value in shown.items():
            if not _same(value, call.arguments[name]):
                msg = (
                    f"argument {name!r} does not come back from JSON as it is: a model must show"
                    " everything that it holds, so it can't have secrets, excluded fields or"
                    " private attributes"
                )
                raise ValueError(msg)
        return payload

    def rebuilt(
        self, call: inspect.BoundArguments, payload: Mapping[str, Any]
    ) -> inspect.BoundArguments:
        """Return the call with the payload's values; hidden arguments are those of ``call``."""
        arguments = dict(call.arguments)
        for name in self.names:
            arguments[name] = self._value(name, payload[name])
        return inspect.BoundArguments(self._signature, arguments)

    def result(self, value: Any) -> Any:
        """Read a recorded result by the function's annotation."""
        return _read(value, self._types.get(_RETURN, Any), "the result")

    def _shown(self, call: inspect.BoundArguments) -> dict[str, Any]:
        return {name: call.arguments[name] for name in self.names}

    def _value(self, name: str, value: Any) -> Any:
        hint = self._types.get(name, Any)
        kind = self._signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            return tuple(_read(each, hint, f"argument {name!r}") for each in value)
        if kind is inspect.Parameter.VAR_KEYWORD:
            return {key: _read(each, hint, f"argument {key!r}") for key, each in value.items()}
        return _read(value, hint, f"argument {name!r}")


def _types(function: Callable[..., Any], names: set[str]) -> dict[str, Any]:
    """Return the annotations of these names. Raises TypeError for one that can't be read."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        msg = f"an annotation of {function.__qualname__} can't be resolved: {error}"
        raise TypeError(msg) from error
    hints = {name: hint for name, hint in hints.items() if name in names}
    for name, hint in hints.items():
        try:
            check_readable(hint)
        except TypeError as error:
            what = "the result" if name == _RETURN else f"parameter {name!r}"
            msg = (
                f"{what} of {function.__qualname__} is annotated {hint}, which can't be read from"
                " JSON: use plain types, dataclasses, Structs or models of pydantic, or hide it"
            )
            raise TypeError(msg) from error
    return hints


def _read(value: Any, hint: Any, what: str) -> Any:
    try:
        return reader(hint)(value)
    except ValueError as error:
        msg = f"{what}: {error}"
        raise ValueError(msg) from error


def _same(rebuilt: Any, given: Any) -> bool:
    """Whether models are what they were: their JSON need not show everything that they hold."""
    if is_model(type(given)):
        return _is_same_model(rebuilt, given)
    if isinstance(given, Mapping) and isinstance(rebuilt, Mapping):
        values = zip(rebuilt.values(), given.values(), strict=True)
    elif isinstance(given, list | tuple) and isinstance(rebuilt, list | tuple):
        values = zip(rebuilt, given, strict=True)
    else:
        names = json_names(given)
        shown = names.values() if isinstance(rebuilt, Mapping) else names
        values = zip(_fields(rebuilt, shown), _fields(given, names), strict=True)
    return all(_same(*each) for each in values)


def _is_same_model(rebuilt: Any, given: Any) -> bool:
    if type(rebuilt) is not type(given):
        # Without an annotation it comes back as plain JSON, which must be complete too.
        try:
            rebuilt = read_model(type(given), plain(rebuilt, "a model"))
        except ValueError:
            return False
    return bool(rebuilt == given)


def _fields(value: Any, names: Iterable[str]) -> list[Any]:
    if isinstance(value, Mapping):
        return [value.get(name) for name in names]
    return [getattr(value, name, None) for name in names]
