"""The arguments of a function as a payload that people can read, and the payload as arguments."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from placet._util.canonical_json import digest
from placet._util.read_back import same
from placet._util.serde import check_readable, plain, reader

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
            if not same(value, call.arguments[name]):
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
        """Return the call with the payload's values; hidden arguments are those of ``call``.

        Raises ValueError for values that do not fit the annotations.
        """
        arguments = dict(call.arguments)
        for name in self.names:
            arguments[name] = self._value(name, payload[name])
        return inspect.BoundArguments(self._signature, arguments)

    def granted(self, call: inspect.BoundArguments, payload: Any) -> inspect.BoundArguments:
        """Return the call with the values that were granted, which may have been amended.

        Raises ValueError if the function can't be called with exactly these.
        """
        names = sorted(payload) if isinstance(payload, Mapping) else None
        if names != sorted(self.names):
            what = "no object" if names is None else f"the arguments {', '.join(names)}"
            takes = ", ".join(self.names)
            msg = f"it was granted with {what}, but the function takes {takes}; it was not called"
            raise ValueError(msg)
        try:
            rebuilt = self.rebuilt(call, payload)
        except ValueError as error:
            msg = f"it was granted with arguments that the function does not take: {error}"
            raise ValueError(msg) from error
        if digest(self._shown(rebuilt)) != digest(payload):
            msg = "the function's annotations make other arguments of what was granted; not called"
            raise ValueError(msg)
        return rebuilt

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
