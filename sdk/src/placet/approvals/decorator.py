"""``@requires_approval``: each call of a function waits until people approve of it."""

import asyncio
import functools
import inspect
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from placet._util.canonical_json import digest
from placet.approvals.arguments import Arguments
from placet.approvals.clearance import Clearance
from placet.approvals.gate import Gate, name_of
from placet.models.responses import Approval
from placet.models.rules import MAX_TITLE
from placet.policy import Policy

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


_INNERMOST = (
    "Put @requires_approval directly above the async def, below other decorators, or make"
    " their wrapper async"
)


class GuardedFunction(Protocol[P, R_co]):
    """A function behind a gate."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Ask for approval of this call, wait for it, and run the function."""

    def keyed(self, key: str, /) -> Callable[P, R_co]:
        """Return the function for one call that is identified by this key, not its arguments."""


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
    form: Any = None,
    answers: str | None = None,
) -> Callable[[Callable[P, R_co]], GuardedFunction[P, R_co]]:
    """Make each call of a function wait until people approve of its arguments.

    People are shown the arguments by name, as JSON. The function then runs with exactly these,
    read from what was granted. An async function is awaited. Any other blocks its thread, in which
    it also runs. A call that is not granted raises Rejected, Expired, Withdrawn or
    ChangesRequested. If people amended the arguments, the function runs with those. If it can't
    take them as they are, ValueError is raised, and the grant stays unused.

    **When are two calls the same?** A call is identified by a key and runs once. If the same call
    is made again, in this process or after a crash, it finds the approval and the result.

    - By default the arguments are the key: calls with equal arguments are the same, for ever. So a
      retry is safe, and the same sum is not paid to the same person a second time.
    - ``key``, a function of the arguments, returns what the call is about, such as the number of an
      invoice.
    - ``function.keyed("payroll-2026-10")(...)`` gives one call a key. A new UUID makes a new call.

    The same key with other arguments raises KeyReused, unless changes were requested: then people
    are asked about these.

    ``gate``: for async functions, the gate of the running event loop. It may be a function that
    returns the gate later. ``title`` and ``description``: a template of parameter names, such as
    ``"Pay {euros} to {to}"``, or a function. ``policy``, ``key`` and ``on_behalf_of`` may be
    functions too. All these functions take the arguments of the call. ``name``: the kind of call,
    by default the function's module and qualified name. Renaming it makes all calls new. A function
    in ``__main__`` needs a name, because every script has that module; otherwise ValueError.
    ``hidden``: parameters that are neither shown nor part of the key, such as ``self``.

    ``form``: what those who grant have to answer, as a model of pydantic, a dataclass or a dict
    with a JSON Schema. ``answers`` names a parameter that then gets a tuple of their answers, of
    this type. It is hidden, and needs a default, because callers do not give it.

    Arguments and results are written as JSON and read by their annotations, if they have any. A
    function that is not async but returns an awaitable fails, and the awaitable is not awaited. Let
    this decorator be the innermost.

    Raises TypeError when it decorates a function for which it can't work. Calls raise ValueError
    for arguments that are not JSON, and what ``Gate.perform`` raises.
    """

    def decorate(function: Callable[P, R_co]) -> GuardedFunction[P, R_co]:
        _check_function(function, named=name is not None)
        guard = _DecoratedFunction(
            gate=gate,
            function=function,
            arguments=Arguments(function, hidden if answers is None else (*hidden, answers)),
            name=name or f"{function.__module__}.{function.__qualname__}",
            policy=policy,
            title=title,
            description=description,
            key=key,
            labels=labels,
            on_behalf_of=on_behalf_of,
            form=form,
            answers=answers,
        )
        guarded = guard.under(None)
        guarded.keyed = guard.under  # type: ignore[attr-defined]
        return cast("GuardedFunction[P, R_co]", guarded)

    return decorate


@dataclass(frozen=True, kw_only=True)
class _DecoratedFunction:
    """A function with the arguments of its decorator."""

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
    form: Any
    answers: str | None

    def __post_init__(self) -> None:
        for text in (self.title, self.description):
            if isinstance(text, str):
                self._check_template(text)

    def under(self, key: str | None) -> Callable[..., Any]:
        """Return the function that asks first, under this key or that of its arguments."""

        @functools.wraps(self.function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            call = self.arguments.bind(args, kwargs)
            gate = self._gate()
            clearance = await self._cleared(gate, call, key)
            granted = self._granted(call, clearance)
            work = functools.partial(self.function, *granted.args, **granted.kwargs)
            read = self.arguments.result
            result = await gate.act(clearance, work, name_of(self.function), read)
            return self.arguments.result(result)

        @functools.wraps(self.function)
        def block(*args: Any, **kwargs: Any) -> Any:
            call = self.arguments.bind(args, kwargs)
            return self.arguments.result(self._blocking(call, key))

        return wait if inspect.iscoroutinefunction(self.function) else block

    def _check_result(self, result: Any) -> None:
        """Raise TypeError for a result that has to be awaited: this thread has no event loop."""
        if not inspect.isawaitable(result):
            return
        if inspect.iscoroutine(result):
            result.close()
        msg = f"{self.name} gave a {type(result).__name__}, which was not awaited. {_INNERMOST}"
        raise TypeError(msg)

    def _blocking(self, call: inspect.BoundArguments, key: str | None) -> Any:
        """Run the call in this thread, with an event loop and connections of its own."""
        _check_no_loop(self.name, self.function)
        with asyncio.Runner() as runner:
            gate = self._gate().apart()
            try:
                clearance = runner.run(self._cleared(gate, call, key))
                # Before it is redeemed: what can't be called must stay unused.
                granted = self._granted(call, clearance)
                recorded = runner.run(gate.redeem(clearance))
                if recorded is not None:
                    return recorded.result
                try:
                    result = self.function(*granted.args, **granted.kwargs)
                    self._check_result(result)
                except Exception as error:
                    runner.run(gate.fail(clearance, name_of(self.function), error))
                    raise
                name = name_of(self.function)
                return runner.run(
                    gate.complete(clearance, name, result, read=self.arguments.result)
                )
            finally:
                runner.run(gate.client.close())

    def _granted(
        self, call: inspect.BoundArguments, clearance: Clearance
    ) -> inspect.BoundArguments:
        """Return the call with what was granted, and with the answers to the form."""
        granted = self.arguments.granted(call, clearance.payload)
        if self.answers is not None:
            granted.arguments[self.answers] = clearance.answers
        return granted

    async def _cleared(
        self, gate: Gate, call: inspect.BoundArguments, key: str | None
    ) -> Clearance:
        # Where the arguments are the key, no other call can be its next round.
        revisable = key is not None or self.key is not None
        approval = await self._ask(gate, call, key)
        return await gate.clearance(approval, form=self.form, revisable=revisable)

    async def _ask(self, gate: Gate, call: inspect.BoundArguments, key: str | None) -> Approval:
        payload = self.arguments.payload(call)
        shown = self.arguments.rebuilt(call, payload)
        if key is None:
            key = digest(payload) if self.key is None else self.key(*shown.args, **shown.kwargs)
        title = self._text(self.title, shown)
        return await gate.ask(
            self.name,
            key,
            # The payload has everything. The title is for lists.
            title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…",
            payload=payload,
            policy=_for_call(self.policy, shown),
            description=None if self.description is None else self._text(self.description, shown),
            form=self.form,
            labels=self.labels,
            on_behalf_of=_for_call(self.on_behalf_of, shown),
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


def _for_call(given: Any, call: inspect.BoundArguments) -> Any:
    """Return a value of the decorator, for this call if it is a function."""
    return given(*call.args, **call.kwargs) if callable(given) else given


def _check_function(function: Any, *, named: bool) -> None:
    """Raise for what is not a function, for generators, and for names that scripts share."""
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        msg = f"put @{kind} above @requires_approval, which takes the function itself"
        raise TypeError(msg)
    if not inspect.isroutine(function):
        msg = (
            f"{function!r} is no function and has no name and parameters of its own:"
            " define a function that calls it"
        )
        raise TypeError(msg)
    innermost = inspect.unwrap(function)
    if inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost):
        msg = f"{function.__qualname__} is a generator, which does not run at one moment"
        raise TypeError(msg)
    if function.__module__ == "__main__" and not named:
        msg = (
            f"{function.__qualname__} is of __main__, like the functions of every other script, and"
            " calls of the same name are the same call: give it a name of its own by name="
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
