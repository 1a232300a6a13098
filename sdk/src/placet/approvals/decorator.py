"""``@requires_approval``: a function of any code base that people let through, call by call."""

import asyncio
import functools
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from placet._util.canonical_json import digest
from placet._util.validation import MAX_TITLE
from placet.approvals.arguments import Arguments
from placet.approvals.clearance import Clearance
from placet.approvals.gate import Gate, name_of
from placet.models.responses import Approval
from placet.policy import Policy

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


_INNERMOST = (
    "Let @requires_approval stand directly above the async def, below other decorators, or make"
    " their wrapper async"
)


class Guarded(Protocol[P, R_co]):
    """A function behind a gate."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Ask for approval of this call, wait for it, and do it."""

    def keyed(self, key: str, /) -> Callable[P, R_co]:
        """Give the function for one call that is known by this key and not by its arguments."""


def requires_approval(
    gate: Gate | Callable[[], Gate],
    *,
    policy: Policy | Callable[..., Policy],
    title: str | Callable[..., str],
    description: str | Callable[..., str] | None = None,
    key: Callable[..., str] | None = None,
    name: str | None = None,
    hidden: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    on_behalf_of: Callable[..., str | None] | None = None,
) -> Callable[[Callable[P, R_co]], Guarded[P, R_co]]:
    """Have each call of a function wait until people approve of its arguments.

    They are shown the arguments by name, as JSON. What then runs gets exactly these, built anew
    from what was granted. An async function is awaited; any other blocks its thread, in which it
    also runs. A call that is not granted raises Rejected, Expired or Withdrawn.

    **Which call is it?** A call is known by a key, and what is known is done once: whoever makes
    the same call again, in this process or after a crash, finds the approval and the result.

    - By default the arguments are the key: equal arguments are the same call, for ever. So a
      retry is safe, and a second payment of the same sum to the same person is not made.
    - ``key``, a function of the arguments, names what the call is about, an invoice's number say.
    - ``function.keyed("payroll-2026-10")(...)`` names one call. A new UUID makes it a new one.

    Other arguments under a key that was given raise KeyReused.

    ``gate``: for async functions that of the running loop; a function may give it later.
    ``title`` and ``description``: a template of parameter names, ``"Pay {euros} to {to}"``, or
    a function, as are ``policy``, ``key`` and ``on_behalf_of`` where they depend on the
    arguments: they take what the decorated one takes. ``name``: what kind of thing is asked, by
    default the function's module and qualified name; renaming it makes all calls new. A function
    of ``__main__``, which is what every script is called, needs one: ValueError.
    ``hidden``: parameters that are neither shown nor part of the key, such as ``self``.

    Arguments and results are JSON, and come back as their annotations say, if there are any; models
    of pydantic too. A function that is not async but gives an awaitable has failed: what it would
    do is not begun. Let this decorator be the innermost.
    Raises TypeError, when it decorates, for what could not work; calls raise ValueError for
    arguments that are not JSON, and what ``Gate.perform`` raises.
    """

    def decorate(function: Callable[P, R_co]) -> Guarded[P, R_co]:
        _check_function(function, named=name is not None)
        guard = _Guard(
            gate=gate,
            function=function,
            arguments=Arguments(function, hidden),
            name=name or f"{function.__module__}.{function.__qualname__}",
            policy=policy,
            title=title,
            description=description,
            key=key,
            labels=labels,
            on_behalf_of=on_behalf_of,
        )
        guarded = guard.under(None)
        guarded.keyed = guard.under  # type: ignore[attr-defined]
        return cast("Guarded[P, R_co]", guarded)

    return decorate


@dataclass(frozen=True, kw_only=True)
class _Guard:
    """What the decorator was told about one function."""

    gate: Gate | Callable[[], Gate]
    function: Callable[..., Any]
    arguments: Arguments
    name: str
    policy: Policy | Callable[..., Policy]
    title: str | Callable[..., str]
    description: str | Callable[..., str] | None
    key: Callable[..., str] | None
    labels: Mapping[str, str] | None
    on_behalf_of: Callable[..., str | None] | None

    def __post_init__(self) -> None:
        for text in (self.title, self.description):
            if isinstance(text, str):
                self._check_template(text)

    def under(self, key: str | None) -> Callable[..., Any]:
        """Give the function that asks first, under this key or that of its arguments."""

        @functools.wraps(self.function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            call = self.arguments.bind(args, kwargs)
            gate = self._gate()
            clearance = await gate.clearance(await self._ask(gate, call, key))
            granted = self.arguments.rebuilt(call, clearance.payload)
            result = await gate.perform(clearance, self.function, *granted.args, **granted.kwargs)
            return self.arguments.result(result)

        @functools.wraps(self.function)
        def block(*args: Any, **kwargs: Any) -> Any:
            call = self.arguments.bind(args, kwargs)
            return self.arguments.result(self._blocking(call, key))

        return wait if inspect.iscoroutinefunction(self.function) else block

    def _check_result(self, result: Any) -> None:
        """Refuse what is still to be awaited: this thread has no loop for it."""
        if not inspect.isawaitable(result):
            return
        if inspect.iscoroutine(result):
            result.close()
        msg = f"{self.name} gave a {type(result).__name__}, which was not awaited. {_INNERMOST}"
        raise TypeError(msg)

    def _blocking(self, call: inspect.BoundArguments, key: str | None) -> Any:
        """Do the call in this thread, with a loop and connections of its own around it."""
        _check_no_loop(self.name, self.function)
        with asyncio.Runner() as runner:
            gate = self._gate().apart()
            try:
                clearance = runner.run(self._cleared(gate, call, key))
                recorded = runner.run(gate.redeem(clearance))
                if recorded is not None:
                    return recorded.result
                granted = self.arguments.rebuilt(call, clearance.payload)
                try:
                    result = self.function(*granted.args, **granted.kwargs)
                    self._check_result(result)
                except Exception as error:
                    runner.run(gate.fail(clearance, name_of(self.function), error))
                    raise
                return runner.run(gate.complete(clearance, name_of(self.function), result))
            finally:
                runner.run(gate.client.close())

    async def _cleared(
        self, gate: Gate, call: inspect.BoundArguments, key: str | None
    ) -> Clearance:
        return await gate.clearance(await self._ask(gate, call, key))

    async def _ask(self, gate: Gate, call: inspect.BoundArguments, key: str | None) -> Approval:
        payload = self.arguments.payload(call)
        shown = self.arguments.rebuilt(call, payload)
        if key is None:
            key = digest(payload) if self.key is None else self.key(*shown.args, **shown.kwargs)
        title = self._text(self.title, shown)
        return await gate.ask(
            self.name,
            key,
            # The whole is in the payload; a title is for a list.
            title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…",
            payload=payload,
            policy=_told(self.policy, shown),
            description=None if self.description is None else self._text(self.description, shown),
            labels=self.labels,
            on_behalf_of=_told(self.on_behalf_of, shown),
        )

    def _gate(self) -> Gate:
        return self.gate if isinstance(self.gate, Gate) else self.gate()

    def _text(self, text: str | Callable[..., str], call: inspect.BoundArguments) -> str:
        if isinstance(text, str):
            return text.format_map({name: call.arguments[name] for name in self.arguments.names})
        return text(*call.args, **call.kwargs)

    def _check_template(self, text: str) -> None:
        for _, field, _, _ in string.Formatter().parse(text):
            if field is None:
                continue
            first = field.partition(".")[0].partition("[")[0]
            if first not in self.arguments.names:
                msg = f"the template {text!r} names {first!r}, which {self.name} does not show"
                raise TypeError(msg)


def _told(given: Any, call: inspect.BoundArguments) -> Any:
    """Give what was said in the decorator, for this call where it depends on it."""
    return given(*call.args, **call.kwargs) if callable(given) else given


def _check_function(function: Any, *, named: bool) -> None:
    """Refuse what is no function that is done at one moment, and a name that others share."""
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        msg = f"@{kind} has to stand above @requires_approval, which takes the function itself"
        raise TypeError(msg)
    if not inspect.isroutine(function):
        msg = (
            f"{function!r} is no function, and so has neither a name nor parameters of its own:"
            " define one that calls it"
        )
        raise TypeError(msg)
    innermost = inspect.unwrap(function)
    if inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost):
        msg = f"{function.__qualname__} is a generator: what it does has no one moment"
        raise TypeError(msg)
    if function.__module__ == "__main__" and not named:
        msg = (
            f"{function.__qualname__} is of __main__, as are functions of all other scripts, and"
            " calls of equal names are the same call: give it a name of its own, by name="
        )
        raise ValueError(msg)


def _check_no_loop(name: str, function: Callable[..., Any]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    msg = (
        f"{name} would block the event loop while people decide: make it async, or call it"
        " through asyncio.to_thread"
    )
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        msg = f"{name} is async behind a decorator that is not. {_INNERMOST}"
    raise RuntimeError(msg)
