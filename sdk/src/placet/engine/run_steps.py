"""The steps of a workflow: work that is done, and whose result is recorded, once."""

import inspect
import random
from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from types import FunctionType
from typing import Any, NamedTuple, ParamSpec, TypeVar, overload
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

from placet._util.invoke import call_in
from placet._util.serde import Read, returned
from placet._util.validation import check_name, is_name
from placet.approvals.clearance import Clearance
from placet.engine.argument_digest import arguments_digest
from placet.engine.pending import PendingStep
from placet.engine.run_backend import NOT_NEXT, RunPart
from placet.engine.step_options import ErrorKinds, StepOptions

P = ParamSpec("P")
T = TypeVar("T")

_NO_OPTIONS = StepOptions()
_DEFAULTS = (None, None, None, 0, _NO_OPTIONS.pause, None)


class OptionedRun:
    """Does steps with options. Made by :meth:`RunSteps.options`."""

    def __init__(self, step: Callable[..., Coroutine[Any, Any, Any]], options: StepOptions) -> None:
        self._step = step
        self._options = options

    @overload
    def step(
        self, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def step(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    def step(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Coroutine[Any, Any, Any]:
        """Do a piece of work and record its result; see :meth:`RunSteps.step`."""
        return self._step(self._options, fn, args, kwargs)


class RunSteps(RunPart):
    """Does steps."""

    @overload
    def step(
        self,
        fn: Callable[..., Awaitable[T]],
        *args: Any,
        key: str | None = None,
        name: str | None = None,
        clearance: Clearance | None = None,
        retries: int = 0,
        pause: float = 0.5,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def step(
        self,
        fn: Callable[..., T],
        *args: Any,
        key: str | None = None,
        name: str | None = None,
        clearance: Clearance | None = None,
        retries: int = 0,
        pause: float = 0.5,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, T]: ...
    def step(
        self,
        fn: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        name: str | None = None,
        clearance: Clearance | None = None,
        retries: int = 0,
        pause: float = 0.5,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Do a piece of work and record its result, or return the result that was recorded before.

        ``fn`` may be async; otherwise it runs in a thread. Its result must be JSON, or a value that
        is written as JSON and read back by the annotation of the result: a dataclass, a msgspec
        Struct, a model of pydantic, a datetime. Without an annotation it is returned as plain JSON,
        a tuple as a list. ``fn`` must not change its arguments. A replay does not call it, so the
        workflow can only know what it returns. ``name``: by default the function's. ``key``: by
        default ``name-n`` by order of call.

        A failed attempt is recorded and tried again ``retries`` times, after ``pause`` seconds,
        twice as long each time up to a minute. An attempt that takes longer than ``timeout``
        seconds fails. A thread can't be stopped and runs on.

        With ``clearance`` the step is the one use of that approval. If the payload differs from
        what was granted by one byte, DigestMismatch is raised, and after another use
        AlreadyRedeemed; nothing is done then. Only ``clearance.payload`` is compared with what was
        granted, so let ``fn`` act on the payload alone. An argument that is the payload is passed
        as a copy. Such a step is begun once and has no retries. If it is not known how it ended,
        Doubt is raised.

        Raises StepFailed when the last attempt failed, TypeError for what is no function, and
        ValueError if a key is used twice, if key or name are not 1 to 200 printable characters, or
        if a step with a clearance is to be tried again.
        """
        given = (key, name, clearance, retries, pause, timeout)
        if given == _DEFAULTS and type(retries) is int:
            options = _NO_OPTIONS
        else:
            options = StepOptions(
                key=key,
                name=name,
                clearance=clearance,
                retries=retries,
                pause=pause,
                timeout=timeout,
            )
        return self._step(options, fn, args, kwargs)

    def options(
        self,
        *,
        key: str | None = None,
        name: str | None = None,
        clearance: Clearance | None = None,
        retries: int = 0,
        pause: float = 0.5,
        timeout: float | None = None,
        final: ErrorKinds = (),
    ) -> "OptionedRun":
        """Return what does steps with these options: ``run.options(retries=2).step(fn, x)``.

        All arguments of its ``step`` are the function's, also those that are called like an option.
        The options are those of :meth:`step`. ``final`` names kinds of errors that are not tried
        again, such as ``final=ValueError``; an error of the type :class:`placet.FinalError` never
        is.
        """
        return OptionedRun(
            self._step,
            StepOptions(
                key=key,
                name=name,
                clearance=clearance,
                retries=retries,
                pause=pause,
                timeout=timeout,
                final=final,
            ),
        )

    def _step(
        self,
        options: StepOptions,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Coroutine[Any, Any, Any]:
        function = _Function.of(fn)
        name = function.name if options.name is None else options.name
        if name is not function.name or not function.named:
            check_name(name, "the name of the step", "give it a shorter, printable one by name=")
        # Not in the coroutine: keys follow the order of calls, whatever is awaited first.
        key = self._backend.key(options.key, name)
        clearance = options.clearance
        if clearance is not None:
            # A copy, so that nobody can change the payload between its redemption and its use.
            shown, payload = clearance.payload, deepcopy(clearance.payload)
            clearance = replace(clearance, payload=payload)
            args = tuple(payload if each is shown else each for each in args)
            kwargs = {name: payload if each is shown else each for name, each in kwargs.items()}
        digest = arguments_digest(args, kwargs)

        def pending() -> PendingStep:
            return PendingStep(
                key=key,
                named=name,
                call=lambda threads: call_in(threads, fn, *args, **kwargs),
                read=function.read,
                in_thread=function.in_thread,
                clearance=clearance,
                attempts=options.retries + 1,
                pause=options.pause,
                timeout=options.timeout,
                final=options.final,
                arguments_digest=digest,
            )

        if clearance is not None:
            return self._result_of(pending())
        return self._recorded(key, name, digest, function.read, pending)

    async def _recorded(
        self,
        key: str,
        name: str,
        digest: str | None,
        read: Read,
        pending: Callable[[], PendingStep],
    ) -> Any:
        self._check_inside(PendingStep.kind)
        found = self._backend.next_result(key, name, digest, read)
        return await self._backend.request(pending()) if found is NOT_NEXT else found

    def now(self) -> Coroutine[Any, Any, datetime]:
        """Return the time, in UTC, recorded as a step."""

        async def now() -> datetime:
            return self._backend.now()

        return self.step(now)

    def random(self) -> Coroutine[Any, Any, float]:
        """Return a random number from 0 to 1, recorded as a step."""
        return self.step(_random, name="random")

    def uuid(self) -> Coroutine[Any, Any, UUID]:
        """Return a random UUID, recorded as a step."""
        return self.step(_uuid, name="uuid")


class _Function(NamedTuple):
    """A function that is done as a step. ``named``: its name is one that the service takes."""

    name: str
    named: bool
    read: Read
    in_thread: bool

    @classmethod
    def of(cls, fn: Callable[..., Any]) -> "_Function":
        """Return what is known of a function. Raises TypeError for what is none."""
        # A method is another object each time it is named; its function stays.
        function = getattr(fn, "__func__", fn)
        if type(function) is not FunctionType:
            return cls._looked_at(fn)
        known = _FUNCTIONS.get(function)
        if known is None:
            known = _FUNCTIONS[function] = cls._looked_at(fn)
        return known

    @classmethod
    def _looked_at(cls, fn: Callable[..., Any]) -> "_Function":
        _check_callable(fn)
        name = str(getattr(fn, "__name__", type(fn).__name__))
        return cls(name, is_name(name), returned(fn), not inspect.iscoroutinefunction(fn))


_FUNCTIONS: WeakKeyDictionary[FunctionType, _Function] = WeakKeyDictionary()
"""Functions that were done as steps. Reading the annotations of one takes longer than a step."""


def _check_callable(fn: object) -> None:
    if callable(fn):
        return
    msg = f"run.step takes a function and its arguments, as in run.step(f, x), and not {fn!r}"
    if inspect.iscoroutine(fn):
        # It will not be awaited, and that is said here.
        fn.close()
        msg = (
            f"run.step was given the coroutine of {fn.__qualname__}, which is called already: pass"
            " the function and its arguments: run.step(f, x)"
        )
    raise TypeError(msg)


async def _random() -> float:
    return random.random()  # noqa: S311 - for workflows, not for secrets


async def _uuid() -> UUID:
    return uuid4()
