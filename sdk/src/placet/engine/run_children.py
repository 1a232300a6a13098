"""The children of a workflow: other executions that it starts."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from placet._util.serde import as_it_is, plain, reader, returned
from placet._util.validation import check_name
from placet._util.workflow_names import WorkflowFunction, workflow_named
from placet.engine.child_access import ToChild
from placet.engine.pending import PendingChild, PendingStep
from placet.engine.run_backend import RunBackend, RunPart
from placet.errors import REFUSALS, InvalidTransition, RecordedError, Refused, StepFailed
from placet.models.commands import Cancellation, SendSignal, StartChild
from placet.models.enums import ParentEnd

T = TypeVar("T")
Input = TypeVar("Input")

OnParentEnd = Literal["cancel", "abandon", "wait"]
"""What becomes of a child that has not ended when its parent ends."""


class ChildOptions(TypedDict, total=False):
    """How a child is started, see :meth:`RunChildren.start_child`."""

    key: str | None
    version: str | None
    queue: str | None
    on_parent_end: OnParentEnd | None


class ChildHandle(Generic[T]):
    """A child that was started. ``id`` is that of its execution, ``key`` the workflow's for it.

    ``T`` is the type of its result.
    """

    def __init__(self, backend: RunBackend, pending: PendingChild, id_: str) -> None:
        self.id = id_
        self.key = pending.key
        self._backend = backend
        self._pending = pending

    async def result(self) -> T:
        """Wait for the end of the child, and return its result. Raises ChildFailed.

        A workflow that stops waiting leaves the child as it is, and can wait again.
        """
        result: T = await asyncio.shield(self._pending.future)
        return result

    def signal(self, name: str, payload: Any = None) -> Coroutine[Any, Any, None]:
        """Send data to the child, once, as a recorded step.

        It is not sent again to a child that a retry of this execution starts anew. Raises
        InvalidTransition if the child has ended, and ValueError for a payload that is not JSON.
        """
        key = self._backend.key(None, "signal-child")
        command = SendSignal(
            # The child is looked up by its key: a retry of this execution may have another one.
            execution_id="",
            name=name,
            payload=plain(payload, "payload"),
            key=f"{self._pending.command.execution_id}/{key}",
        )
        return self._sent(key, "signal-child", command)

    async def cancel(self, reason: str) -> None:
        """Cancel the child, as a recorded step. If it has ended, this changes nothing."""
        key = self._backend.key(None, "cancel-child")
        try:
            await self._sent(key, "cancel-child", Cancellation(execution_id="", reason=reason))
        except InvalidTransition:
            return

    async def _sent(self, key: str, name: str, command: ToChild) -> None:
        step = PendingStep(
            key=key,
            named=name,
            call=lambda _threads: self._backend.to_child(self._pending, command),
            read=as_it_is,
        )
        try:
            await self._backend.request(step)
        except StepFailed as failed:
            refused = _refusal(failed.__cause__)
            raise refused or failed from None


def _refusal(cause: BaseException | None) -> Refused | None:
    """Return the refusal of the service that a step recorded, if it is one."""
    if isinstance(cause, RecordedError):
        kinds: tuple[type[Refused], ...] = (Refused, *REFUSALS.values())
        for kind in kinds:
            if cause.type == f"{kind.__module__}.{kind.__qualname__}":
                code, _, message = cause.message.partition(": ")
                return kind(code, message)
    return None


class RunChildren(RunPart):
    """Starts other executions for this one."""

    @overload
    def child(
        self,
        workflow: Callable[[Any, Input], Coroutine[Any, Any, T]],
        input: Input,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def child(
        self,
        workflow: Callable[[Any], Coroutine[Any, Any, T]],
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def child(
        self,
        workflow: str,
        input: Any = None,
        *,
        kind: Any = None,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, Any]: ...
    def child(
        self,
        workflow: str | WorkflowFunction,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        kind: Any = None,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, Any]:
        """Start another execution for this one, wait for its end, and return its result.

        Raises ChildFailed if it fails or is cancelled. A child that is no longer waited for goes
        on. Everything else is as for :meth:`start_child`.
        """
        return self._result_of(self._new_child(workflow, input, kind, options))

    @overload
    def start_child(
        self,
        workflow: Callable[[Any, Input], Coroutine[Any, Any, T]],
        input: Input,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, ChildHandle[T]]: ...
    @overload
    def start_child(
        self,
        workflow: Callable[[Any], Coroutine[Any, Any, T]],
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, ChildHandle[T]]: ...
    @overload
    def start_child(
        self,
        workflow: str,
        input: Any = None,
        *,
        kind: Any = None,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, ChildHandle[Any]]: ...
    def start_child(
        self,
        workflow: str | WorkflowFunction,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        kind: Any = None,
        **options: Unpack[ChildOptions],
    ) -> Coroutine[Any, Any, ChildHandle[Any]]:
        """Start another execution for this one, and return a handle once it is recorded.

        ``workflow``: its name, or its function, which then gives the name, the version and the type
        of the result. ``kind``: for a name, the type to read the result as. The child has the same
        initiator, so the four-eyes rule excludes the same people in both. ``queue``: by default
        that of this execution. ``key``: by default ``workflow-n`` by order of call.

        ``on_parent_end``: what becomes of the child if this execution ends before it. "cancel": it
        is cancelled. "abandon": it goes on. "wait": the end of the workflow waits for it, whatever
        its outcome; if this execution is cancelled, the child is too. By default it is cancelled if
        this execution is cancelled, and goes on otherwise.

        Raises ValueError if a key is used twice, or if it, the workflow's name, the version or the
        queue are not 1 to 200 printable characters.
        """
        return self._started(self._new_child(workflow, input, kind, options))

    async def _started(self, pending: PendingChild) -> ChildHandle[Any]:
        self._check_inside("start_child")
        told = await self._backend.ask(pending)
        return ChildHandle(self._backend, pending, told.id)

    def _new_child(
        self, workflow: str | WorkflowFunction, input_: Any, kind: Any, options: ChildOptions
    ) -> PendingChild:
        name, registered = workflow_named(workflow)
        version, queue = options.get("version"), options.get("queue")
        if version is None:
            version = registered
        on_parent_end = options.get("on_parent_end")
        check_name(name, "the workflow's name of a child", "no workflow can be called so")
        if version is not None:
            check_name(version, f"the version of child {name!r}", "no workflow can have it")
        if queue is not None:
            check_name(queue, f"the queue of child {name!r}", "no engine can work on it")
        key = self._backend.key(options.get("key"), name)
        command = StartChild(
            execution_id=self._execution.id,
            fence=self._fence,
            key=key,
            workflow=name,
            workflow_version=version,
            queue=self._execution.queue if queue is None else queue,
            input=plain(input_, "input"),
            on_parent_end=_policy(on_parent_end),
        )
        pending = PendingChild(
            key=key,
            command=command,
            read=reader(kind) if isinstance(workflow, str) else returned(workflow),
            on_any_queue=queue is None,
        )
        if on_parent_end == "wait":
            self._waited.append(pending)
        return pending

    async def _children_ended(self) -> None:
        """Wait for the children that the end of this execution waits for."""
        begun = [each.future for each in self._waited if each.begun]
        if begun:
            await asyncio.wait(begun)


def _policy(on_parent_end: str | None) -> ParentEnd | None:
    if on_parent_end is None:
        return None
    try:
        return ParentEnd(on_parent_end.upper())
    except ValueError:
        msg = f"on_parent_end is 'cancel', 'abandon' or 'wait', and not {on_parent_end!r}"
        raise ValueError(msg) from None
