"""``run``: what the code of a workflow can do with its execution."""

import asyncio
import inspect
import random
from asyncio import Future, events
from collections.abc import Awaitable, Callable, Coroutine
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID, uuid4

from placet._util.invoke import call_in
from placet._util.serde import plain, reader, returned
from placet._util.validation import check_name
from placet.approvals.clearance import Clearance
from placet.engine.pending import Pending, PendingApproval, PendingChild, PendingStep, PendingTimer
from placet.engine.run_info import RunInfo, RunLog, info
from placet.engine.step_options import ErrorKinds, StepOptions, attempt
from placet.models.commands import RequestApproval, StartChild
from placet.models.responses import Execution
from placet.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")


class RunBackend(Protocol):
    """What a Run needs of the instance of its workflow."""

    @property
    def loop(self) -> Any:
        """The workflow's own loop."""

    def key(self, given: str | None, name: str) -> str:
        """Return the key that was given, or ``name-n`` by order of call.

        Raises ValueError for a key that is reserved, or that the service does not take.
        """

    @property
    def replaying(self) -> bool:
        """Whether the workflow is given recorded results."""

    def request(self, pending: Pending) -> "Future[Any]":
        """Begin to wait for something. Raises ValueError if its key is used already."""

    def ask(self, pending: PendingApproval) -> "Future[str]":
        """Begin to wait for an approval, and return a future of its id."""

    def signal(self, name: str) -> "Future[Any]":
        """Wait for the next signal of a name."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code."""


class Asked:
    """An approval that was asked for. ``id`` is that of the approval, ``key`` the workflow's."""

    def __init__(self, key: str, id_: str, future: "Future[Any]") -> None:
        self.key = key
        self.id = id_
        self._future = future

    async def clearance(self) -> Clearance:
        """Wait for the decision. Raises Rejected, Expired or Withdrawn.

        If the workflow stops waiting, for example because of a timeout, the approval is withdrawn.
        """
        clearance: Clearance = await self._future
        return clearance


class OptionedRun:
    """Does steps with options. Made by :meth:`Run.options`."""

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
        """Do a piece of work and record its result; see :meth:`Run.step`."""
        return self._step(self._options, fn, args, kwargs)


class Run:
    """Steps, approvals and waits of one execution.

    A workflow runs again from its start after a crash, and after it was put away while it waited.
    It then gets the results of everything that it awaits in the order of the record, so its code
    must do the same things again. Put whatever may differ from run to run, such as reading a clock
    or a file, into a step. A difference from the record parks the execution.
    """

    def __init__(self, backend: RunBackend, execution: Execution, fence: int) -> None:
        self._backend = backend
        self._execution = execution
        self._fence = fence
        # A copy, because a workflow that changes its input must find it unchanged in a replay.
        self._input = deepcopy(execution.input)
        self._log = RunLog(execution, lambda: backend.replaying)

    @property
    def execution_id(self) -> str:
        """The id of the execution."""
        return self._execution.id

    @property
    def info(self) -> RunInfo:
        """The execution: who started it, its labels, and inside a step the attempt."""
        return info(self._execution, attempt.get(), replaying=self._backend.replaying)

    @property
    def log(self) -> RunLog:
        """A logger that is silent in a replay, so that each message comes once.

        The logger is ``placet.workflow``. What the workflow did since its last recorded event is
        done again, and logged again, when another engine claims it.
        """
        return self._log

    @property
    def input(self) -> Any:
        """The input that the execution was started with, as plain JSON."""
        return self._input

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
        options = StepOptions(
            key=key, name=name, clearance=clearance, retries=retries, pause=pause, timeout=timeout
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
        _check_callable(fn)
        name, clearance = options.name, options.clearance
        if name is None:
            name = str(getattr(fn, "__name__", type(fn).__name__))
        check_name(name, "the name of the step", "give it a shorter, printable one by name=")
        if clearance is not None:
            # A copy, so that nobody can change the payload between its redemption and its use.
            shown, payload = clearance.payload, deepcopy(clearance.payload)
            clearance = replace(clearance, payload=payload)
            args = tuple(payload if each is shown else each for each in args)
            kwargs = {key: payload if each is shown else each for key, each in kwargs.items()}
        pending = PendingStep(
            # Not in the coroutine: keys follow the order of calls, whatever is awaited first.
            key=self._backend.key(options.key, name),
            named=name,
            call=lambda threads: call_in(threads, fn, *args, **kwargs),
            read=returned(fn),
            clearance=clearance,
            attempts=options.retries + 1,
            pause=options.pause,
            timeout=options.timeout,
            final=options.final,
        )
        return self._result_of(pending)

    def approval(
        self,
        title: str,
        *,
        payload: Any,
        policy: Policy,
        key: str | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, Clearance]:
        """Ask people for approval of ``payload`` and wait, as long as it takes.

        Wait for several at once with ``asyncio.gather``. An approval that the workflow stops
        waiting for, for example because of a timeout, is withdrawn. ``key``: by default
        ``approval-n`` by order of call. Raises Rejected, Expired or Withdrawn, and ValueError if a
        key is used twice or not 1 to 200 printable characters, or the payload is not JSON.
        """
        return self._result_of(self._asked_for(title, payload, policy, key, description))

    def ask(
        self,
        title: str,
        *,
        payload: Any,
        policy: Policy,
        key: str | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, "Asked"]:
        """Ask people for approval of ``payload``, and return once it is recorded.

        The result has the ``id`` of the approval, so that a step can send it somewhere, and
        ``clearance()``, which waits for the decision. Everything else is as for :meth:`approval`.
        An approval that nobody waits for when the workflow ends is withdrawn.
        """
        pending = self._asked_for(title, payload, policy, key, description)
        return self._asked(pending)

    async def _asked(self, pending: PendingApproval) -> "Asked":
        self._check_inside("ask")
        asked = self._backend.ask(pending)
        try:
            return Asked(pending.key, await asked, pending.future)
        except asyncio.CancelledError:
            pending.future.cancel()
            raise

    def _asked_for(
        self, title: str, payload: Any, policy: Policy, key: str | None, description: str | None
    ) -> PendingApproval:
        if payload is None:
            msg = "payload must not be None: approvers must see what they approve"
            raise ValueError(msg)
        key = self._backend.key(key, "approval")
        request = RequestApproval(
            execution_id=self.execution_id,
            fence=self._fence,
            key=key,
            title=title,
            description=description,
            payload=plain(payload, "payload"),
            policy=policy,
        )
        return PendingApproval(key=key, request=request)

    def sleep(
        self, delay: timedelta | float, *, key: str | None = None
    ) -> Coroutine[Any, Any, None]:
        """Wait for a time, in seconds if it is a number. It may be months.

        The timer is recorded in the log: it survives every restart and fires by the clock of the
        service. In a workflow ``asyncio.sleep`` and ``asyncio.timeout`` are such timers too.
        ``key``: by default ``timer-n`` by order of call. Raises ValueError for a key that is not 1
        to 200 printable characters.
        """
        span = delay if isinstance(delay, timedelta) else timedelta(seconds=delay)
        return self._result_of(
            PendingTimer(key=self._backend.key(key, "timer"), delay=max(span, timedelta()))
        )

    def sleep_until(self, when: datetime, *, key: str | None = None) -> Coroutine[Any, Any, None]:
        """Wait until a moment. Raises ValueError for one without a time zone.

        ``key`` is as for :meth:`sleep`.
        """
        if when.tzinfo is None:
            msg = "sleep_until needs a time with a time zone: another machine may read it"
            raise ValueError(msg)
        return self._result_of(PendingTimer(key=self._backend.key(key, "timer"), until=when))

    @overload
    async def signal(self, name: str) -> Any: ...
    @overload
    async def signal(self, name: str, kind: type[T]) -> T: ...
    async def signal(self, name: str, kind: Any = None) -> Any:
        """Wait for the next signal of that name and return its payload, as ``kind`` if given.

        Each signal is returned once, in the order in which they came, also if it came before this
        call. Raises ValueError for a payload that is not of that kind, and for a name that is not
        1 to 200 printable characters.
        """
        self._check_inside("signal")
        check_name(name, "the name of the signal", "none could ever come; wait for another")
        return reader(kind)(await self._backend.signal(name))

    def child(
        self,
        workflow: str,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        key: str | None = None,
        version: str | None = None,
        queue: str | None = None,
        kind: Any = None,
    ) -> Coroutine[Any, Any, Any]:
        """Start another execution for this one, wait for its end, and return its result.

        It has the same initiator, so the four-eyes rule excludes the same people in both.
        ``queue``: by default that of this execution. ``kind`` is the type to read the result as.
        ``key``: by default ``workflow-n`` by order of call. Raises ChildFailed if it fails or is
        cancelled, and ValueError if a key is used twice, or if it, the workflow's name, the version
        or the queue are not 1 to 200 printable characters. A child that is no longer waited for
        goes on.
        """
        check_name(workflow, "the workflow's name of a child", "no workflow can be called so")
        if version is not None:
            check_name(version, f"the version of child {workflow!r}", "no workflow can have it")
        if queue is not None:
            check_name(queue, f"the queue of child {workflow!r}", "no engine can work on it")
        key = self._backend.key(key, workflow)
        command = StartChild(
            execution_id=self.execution_id,
            fence=self._fence,
            key=key,
            workflow=workflow,
            workflow_version=version,
            queue=self._execution.queue if queue is None else queue,
            input=plain(input, "input"),
        )
        pending = PendingChild(
            key=key, command=command, read=reader(kind), on_any_queue=queue is None
        )
        return self._result_of(pending)

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

    def patched(self, name: str) -> bool:
        """Return whether to run the changed code at this place.

        False if the execution passed this place before the change, so that it must do what it did
        then. Otherwise True, which is recorded, so that the answer stays. ``name`` is that of the
        change; all places that use one name get the answer of the first. Remove the call and the
        old code once no execution is left that got False. Raises ValueError for a name that is not
        1 to 192 printable characters.
        """
        self._check_inside("patched")
        return self._backend.patched(name)

    async def _result_of(self, pending: Pending) -> Any:
        self._check_inside(pending.kind)
        return await self._backend.request(pending)

    def _check_inside(self, what: str) -> None:
        if events._get_running_loop() is not self._backend.loop:  # noqa: SLF001 - see WorkflowLoop
            msg = (
                f"run.{what} is for the workflow itself, while it runs; it was awaited in a step,"
                " outside of the workflow, or in the clean-up of one that was put away"
            )
            raise RuntimeError(msg)


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
