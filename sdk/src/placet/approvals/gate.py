"""Approvals for code that is not a workflow: ask, wait, and do once what was approved."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Self, TypeVar, overload
from uuid import uuid4

from placet._util.canonical_json import digest
from placet._util.forms import form_of
from placet._util.invoke import call, described, running_task
from placet._util.read_back import recorded
from placet._util.serde import Read, as_it_is, plain, returned
from placet._util.texts import cleaned
from placet._util.validation import check_question
from placet.approvals.clearance import Clearance, clear
from placet.client.client import Client
from placet.errors import (
    AlreadyRedeemed,
    ChangesRequested,
    DigestMismatch,
    Doubt,
    Fenced,
    Internal,
    InvalidInput,
    InvalidTransition,
    LimitExceeded,
    NotCleared,
    Revoked,
    StepFailed,
)
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Accepted, Approval, ApprovalRecord, ExecutionHead, Step
from placet.policy import Policy

A = TypeVar("A")

APPROVAL_KEY = "approval"
STEP_KEY = "perform"

_STANDING = frozenset({ApprovalStatus.PENDING, ApprovalStatus.GRANTED})


class Gate:
    """Approval for code that is not a workflow. Each use is an execution of its own.

    The client's token needs the role ENGINE. No Engine may serve ``queue``: executions of a gate
    are never claimed, so their commands have no fencing number, and one that was claimed raises
    Fenced. A request survives its process: any process finds it by its key and goes on. A gate
    belongs to the event loop in which it is used first; in another it raises RuntimeError, see
    ``apart``.

    All methods raise RequestError, and Refused for what the service does not take.
    """

    def __init__(self, client: Client, *, queue: str = "gates") -> None:
        _check_client(client)
        self.client = client
        self.queue = queue

    def apart(self) -> Self:
        """Return a gate with connections of its own, for another event loop. Close its client."""
        return type(self)(self.client.apart(), queue=self.queue)

    async def ask(
        self,
        name: str,
        key: str,
        *,
        title: str,
        payload: Any,
        policy: Policy,
        description: str | None = None,
        form: Any = None,
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> Approval:
        """Ask people for approval of ``payload``, without waiting for it.

        ``name`` is the kind of request (the execution's workflow), ``key`` identifies it. ``form``:
        what those who grant have to answer; see ``clearance``. The same
        call again finds the approval, whatever its status; the same key with other content opens
        the next round after changes were requested, and else raises KeyReused. If an operator
        retries a failed execution, people are asked anew unless they had granted. Raises ValueError
        for a payload that is None or not JSON, and InvalidInput for a payload, a title or a
        description that is too long. Nothing is started then. Anything else that the service does
        not take (InvalidInput) fails the execution with that reason. The key can't be used again
        then (InvalidTransition) unless an operator retries the execution. An earlier request under
        the key goes on.
        """
        if payload is None:
            msg = "payload must not be None: approvers must see what they approve"
            raise ValueError(msg)
        # Before anything is started, so that what can't be sent leaves nothing behind.
        payload, schema = plain(payload, "payload"), form_of(form).schema
        check_question(title, description, payload)
        with self.unclaimed():
            started = await self.client.start(
                name, key=key, queue=self.queue, labels=labels, on_behalf_of=on_behalf_of
            )
            if started.execution is None:
                msg = f"the service did not say which execution {name!r}, {key!r} is"
                raise Internal(msg)
            asked = await self._requested(
                started.execution,
                title,
                payload=payload,
                policy=policy,
                description=description,
                form=schema,
            )
        if asked.approval is None:
            msg = f"the service did not say which approval was asked for in {started.execution.id}"
            raise Internal(msg)
        return asked.approval

    async def _requested(
        self, execution: ExecutionHead, title: str, *, payload: Any, **more: Any
    ) -> Accepted:
        try:
            return await self.client.request_approval(
                execution.id, APPROVAL_KEY, title, payload=payload, **more
            )
        except (InvalidInput, LimitExceeded) as refused:
            await self._abandon(execution.id, described(refused))
            raise
        except InvalidTransition as over:
            if not execution.state.final:
                raise
            msg = (
                f"execution {execution.id}, which this key names, is {execution.state} and people"
                " were never asked; give another key, or have an operator retry it"
            )
            raise InvalidTransition(over.code, msg, over.execution, over.approval) from over

    async def _abandon(self, execution_id: str, error: str) -> None:
        """Fail an execution in which nothing could be asked, so that nobody goes on with it."""
        history = await self.client.history(execution_id)
        if history is None or history.execution.state is not ExecutionState.RUNNING:
            return
        # It is also RUNNING while work that was granted earlier under this key is being done.
        if any(each.status in _STANDING for each in history.approvals):
            return
        # Someone may cancel it meanwhile.
        with suppress(InvalidTransition):
            await self.client.fail(execution_id, error)

    @overload
    async def clearance(
        self, approval: ApprovalRecord, *, form: type[A], revisable: bool = True
    ) -> Clearance[A]: ...

    @overload
    async def clearance(
        self,
        approval: ApprovalRecord,
        *,
        form: Mapping[str, Any] | None = None,
        revisable: bool = True,
    ) -> Clearance: ...

    async def clearance(
        self, approval: ApprovalRecord, *, form: Any = None, revisable: bool = True
    ) -> Clearance:
        """Wait until the approval is resolved, as long as it takes.

        ``form``: that of ``ask``; with a model or dataclass ``clearance.answers`` are of its type.

        Raises Rejected, Expired, Withdrawn or Revoked; the execution is then failed with that
        reason. Raises ChangesRequested if people want something else: ``ask`` with the same key and
        another payload opens the next round. ``revisable`` False: nothing else will be asked under
        the key, so the execution is failed then too.
        """
        approval = await self.client.wait_for(approval)
        try:
            return replace(clear(approval), read=form_of(form).read)
        except NotCleared as refused:
            if not (revisable and isinstance(refused, ChangesRequested)):
                await self._end(approval, described(refused))
            raise

    async def perform(
        self, clearance: Clearance, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Use the clearance, call the function and record its result, once.

        ``fn`` may be async; otherwise it runs in a thread. Its result is written as JSON and
        returned as plain JSON. The clearance is redeemed first: if its payload differs from what
        was granted by one byte, DigestMismatch is raised and nothing is done.

        What ``fn`` raises is recorded, fails the execution and is raised. A later call, by whatever
        process, does not run ``fn``: it returns the recorded result, or raises StepFailed with the
        recorded error. It raises Doubt if there is neither, because the first call is not over or
        its process ended.
        """
        work = functools.partial(fn, *args, **kwargs)
        return await self.act(clearance, work, name_of(fn), returned(fn))

    async def act(
        self, clearance: Clearance, work: Callable[[], Any], name: str, read: Read
    ) -> Any:
        """Do the same with work of this name, whose result ``read`` must give back as it is."""
        used = await self.redeem(clearance)
        if used is not None:
            return used.result
        task = asyncio.current_task()
        try:
            result = await call(work)
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:
            # A GeneratorExit that was not raised closes this coroutine, which can't await then.
            if not isinstance(error, GeneratorExit) or running_task() is task:
                await self.fail(clearance, name, error)
            raise
        return await self.complete(clearance, name, result, read=read)

    async def redeem(self, clearance: Clearance, *, key: str | None = None) -> Step | None:
        """Use the clearance. None means go on; ``complete`` or ``fail`` must follow.

        If it was used before, returns the recorded step, or raises as ``perform`` does. Raises
        Revoked or Lapsed if the grant can't be used any more. With
        ``key`` a use under the same key does not count as an earlier one.
        """
        try:
            # By default a key of this call alone. A repeat after a lost answer has it too, and the
            # use by another call can't be mistaken for this one.
            with self.unclaimed():
                await self.client.redeem(
                    clearance.approval.id, clearance.payload, key or f"{STEP_KEY}-{uuid4()}"
                )
        except AlreadyRedeemed as used:
            return await self._recorded(clearance, used)
        except InvalidTransition as error:
            if error.approval is not None and error.approval.status is ApprovalStatus.REVOKED:
                raise Revoked(error.approval) from error
            raise
        return None

    async def complete(
        self,
        clearance: Clearance,
        name: str,
        result: Any,
        *,
        instead: Any = None,
        read: Read = as_it_is,
    ) -> Any:
        """Record the result, complete the execution, and return what was recorded as plain JSON.

        ``name`` says what was done. A result can't be recorded if it is not JSON, or if ``read``
        does not give it back as it is (ValueError), or if the service does not take it, for example
        because it is too large (InvalidInput or LimitExceeded). Then ``instead`` is recorded, if it
        is given. Otherwise the execution is failed, with the text that it was done, and the error
        is raised.
        """
        execution_id = clearance.approval.execution_id
        try:
            written = await self._record(execution_id, name, result, read)
        except (ValueError, InvalidInput, LimitExceeded) as error:
            if instead is None:
                text = f"{name} was done, and its result can't be recorded: {described(error)}"
                await self._failed(execution_id, name, text)
                raise
            written = await self._record(execution_id, name, instead)
        with self.unclaimed():
            await self.client.complete(execution_id, written)
        return written

    async def _record(
        self, execution_id: str, name: str, result: Any, read: Read = as_it_is
    ) -> Any:
        result = recorded(result, read, f"the result of {name}")
        with self.unclaimed():
            await self.client.record_step(execution_id, STEP_KEY, name=name, result=result)
        return result

    async def fail(self, clearance: Clearance, name: str, error: BaseException) -> None:
        """Record how what was cleared failed, and fail the execution with it."""
        await self._failed(clearance.approval.execution_id, name, described(error))

    async def _failed(self, execution_id: str, name: str, text: str) -> None:
        text = cleaned(text)
        with self.unclaimed():
            await self.client.record_step(execution_id, STEP_KEY, name=name, error=text)
            await self.client.fail(execution_id, text)

    async def withdraw(self, approval: ApprovalRecord, reason: str) -> None:
        """Withdraw the request and end its execution. Raises AlreadyDecided if it is too late."""
        with self.unclaimed():
            withdrawn = await self.client.withdraw(approval.id, reason)
        await self._end(withdrawn.approval or approval, cleaned(f"withdrawn: {reason}"))

    async def _end(self, approval: ApprovalRecord, error: str) -> None:
        """Fail the execution, unless it has gone on since the approval was resolved."""
        history = await self.client.history(approval.execution_id)
        if history is None or history.approvals[-1].id != approval.id:
            return
        # In any other state it has ended, or was retried and another caller asks again.
        if history.execution.state is not ExecutionState.RESUMED:
            return
        try:
            with self.unclaimed():
                await self.client.fail(approval.execution_id, error)
        except InvalidTransition as over:
            if over.execution is None or not over.execution.state.final:
                raise

    async def _recorded(self, clearance: Clearance, used: AlreadyRedeemed) -> Step:
        approval = clearance.approval
        history = await self.client.history(approval.execution_id)
        if history is None:
            raise used
        standing = next(each for each in history.approvals if each.id == approval.id)
        if digest(clearance.payload) != standing.payload_digest:
            msg = f"what was granted and done has the payload digest {standing.payload_digest}"
            raise DigestMismatch("DIGEST_MISMATCH", msg, used.execution, standing) from used
        step = next((each for each in history.steps if each.key == STEP_KEY), None)
        if step is None:
            msg = (
                f"approval {approval.id} was redeemed and has no result: its action is being"
                " done, or may have been done by a process that ended; it is not begun again"
            )
            raise Doubt(msg) from used
        return await self._settled(approval.execution_id, step, history.execution.state)

    async def _settled(self, execution_id: str, step: Step, state: ExecutionState) -> Step:
        """Return what the step recorded. End the execution if the process that did it could not."""
        if step.completed_at is not None:
            if not state.final:
                with self.unclaimed():
                    await self.client.complete(execution_id, step.result)
            return step
        error = step.error or ""
        if not state.final:
            with self.unclaimed():
                await self.client.fail(execution_id, error)
        raise StepFailed(step.key, error)

    @contextmanager
    def unclaimed(self) -> Iterator[None]:
        """Explain the error of a command in this block if an engine has claimed the execution."""
        try:
            yield
        except Fenced as fenced:
            msg = (
                f"an engine has claimed an execution of this gate: no Engine may serve the queue"
                f" {self.queue!r}; stop that engine, or give the gate a queue of its own"
            )
            raise Fenced(fenced.code, msg, fenced.execution, fenced.approval) from fenced


def _check_client(client: object) -> None:
    if not isinstance(client, Client):
        kind = f"{type(client).__module__}.{type(client).__qualname__}"
        msg = (
            f"a gate takes a placet.Client and not a {kind}. That is right for functions that are"
            " not async, too: each call of one behind @requires_approval gets its own event loop"
        )
        raise TypeError(msg)


def name_of(fn: Callable[..., Any]) -> str:
    """Return a function's name, and that of its type for any other callable."""
    return str(getattr(fn, "__name__", type(fn).__name__))
