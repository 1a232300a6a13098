"""The commands that an execution accepts.

A command checks its input once, when it is built and before the log is locked. ``problem`` is the
first broken rule. ``decide`` reports it after the checks of roles and visibility, so that a caller
who may not see an execution learns nothing about it.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import validation
from domain.identifiers import parse_uuid
from domain.names import normal
from domain.validation import Problem, first, optional
from domain.values import ExecutionState, Label, Parent, ParentEnd, Principal


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all commands: the caller and the execution, or another stream.

    ``needs_exact_time``: its events must have the database's time under the log's lock. The events
    of other commands may have a time that is up to a tenth of a second behind.
    """

    needs_exact_time: ClassVar[bool] = False
    by: Principal
    execution_id: UUID
    problem: Problem = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "problem", self.check())

    def check(self) -> Problem:
        """Return the first rule that the input breaks, or None."""
        return None


class WorkerCommand(Command, frozen=True, kw_only=True):
    """A worker's command. Once the execution was claimed it needs the current fencing token."""

    fence: int | None = None


class StartExecution(Command, frozen=True, kw_only=True):
    """``given_id`` is the id that the caller chose. A repeat must then choose the same."""

    workflow: str
    workflow_version: str | None = None
    queue: str = "default"
    input: Any = None
    labels: tuple[Label, ...] = ()
    on_behalf_of: str | None = None
    key: str | None = None
    given_id: str | None = None
    parent: Parent | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on_behalf_of is not None:
            msgspec.structs.force_setattr(self, "on_behalf_of", normal(self.on_behalf_of))

    def check(self) -> Problem:
        if self.given_id is not None and parse_uuid(self.given_id) != self.execution_id:
            return "id must be a UUID in its form of 36 characters"
        return first(
            validation.name(self.workflow, "workflow"),
            optional(validation.name, self.workflow_version, "workflowVersion"),
            validation.name(self.queue, "queue"),
            optional(validation.name, self.on_behalf_of, "onBehalfOf"),
            optional(validation.name, self.key, "idempotencyKey"),
            validation.labels(self.labels),
            validation.json(self.input, "input"),
        )


class ClaimExecution(Command, frozen=True, kw_only=True):
    """``takes_over``: the worker that held it is gone. The server sets this.

    ``cleans_up``: the worker's code for the workflow cleans up after a cancellation.
    """

    worker: str
    takes_over: bool = False
    cleans_up: bool = False

    def check(self) -> Problem:
        return validation.name(self.worker, "worker")


class RecordStep(WorkerCommand, frozen=True, kw_only=True):
    """Record the result of a step, or with ``error`` one failed attempt.

    ``arguments_digest`` is the worker's digest of the arguments of the step. The server keeps it.
    """

    key: str
    name: str
    attempt: int = 1
    result: Any = None
    error: str | None = None
    arguments_digest: str | None = None

    def check(self) -> Problem:
        if self.error is not None and self.result is not None:
            return (
                "result and error exclude each other: give error for a failed attempt, else result"
            )
        return first(
            validation.name(self.key, "key"),
            validation.name(self.name, "name"),
            validation.attempt(self.attempt, "attempt"),
            validation.json(self.result, "result"),
            optional(validation.required_text, self.error, "error"),
            optional(validation.name, self.arguments_digest, "argumentsDigest"),
        )


class SetTimer(WorkerCommand, frozen=True, kw_only=True):
    """Set a timer that fires after ``delay`` or at ``until``. Exactly one of them is given."""

    needs_exact_time: ClassVar[bool] = True
    key: str
    delay: timedelta | None = None
    until: datetime | None = None

    def check(self) -> Problem:
        if (self.delay is None) == (self.until is None):
            return "a timer needs exactly one of delay and until"
        return first(
            validation.name(self.key, "key"), optional(validation.delay, self.delay, "delay")
        )


class CancelTimer(WorkerCommand, frozen=True, kw_only=True):
    key: str


class FireTimer(Command, frozen=True, kw_only=True):
    """Fire a timer that is due. Only the server sends this.

    ``set_version`` is the version of the TimerSet that is meant. None: whichever is the last, as
    sent by servers of before the version was kept.
    """

    needs_exact_time: ClassVar[bool] = True
    key: str
    set_version: int | None = None


class SendSignal(Command, frozen=True, kw_only=True):
    name: str
    key: str
    payload: Any = None

    def check(self) -> Problem:
        return first(
            validation.name(self.name, "name"),
            validation.name(self.key, "key"),
            validation.json(self.payload, "payload"),
        )


class StartChild(WorkerCommand, frozen=True, kw_only=True):
    key: str
    workflow: str
    workflow_version: str | None = None
    queue: str
    input: Any = None
    on_parent_end: ParentEnd | None = None

    def check(self) -> Problem:
        return first(
            validation.name(self.key, "key"),
            validation.name(self.workflow, "workflow"),
            optional(validation.name, self.workflow_version, "workflowVersion"),
            validation.name(self.queue, "queue"),
            validation.json(self.input, "input"),
        )


class EndChild(Command, frozen=True, kw_only=True):
    """Report the end of a child to its parent. Only the server sends this."""

    key: str
    round: int
    outcome: ExecutionState
    result: Any = None
    error: str | None = None


class SuspendExecution(WorkerCommand, frozen=True, kw_only=True):
    """``seen`` is the version of the last wake-up that the worker has handled; 0 if none."""

    seen: int


class ParkExecution(WorkerCommand, frozen=True, kw_only=True):
    """Keep workers from the execution. A person who may operate it sends this without a fence."""

    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class UnparkExecution(Command, frozen=True, kw_only=True):
    pass


class CompleteExecution(WorkerCommand, frozen=True, kw_only=True):
    result: Any = None

    def check(self) -> Problem:
        return validation.json(self.result, "result")


class FailExecution(WorkerCommand, frozen=True, kw_only=True):
    error: str

    def check(self) -> Problem:
        return validation.required_text(self.error, "error")


class CancelExecution(Command, frozen=True, kw_only=True):
    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class EndCancellation(Command, frozen=True, kw_only=True):
    """End a cancelled execution whose clean-up took too long. Only the server sends this.

    ``why`` says so, after the reason of the cancellation.
    """

    why: str

    def check(self) -> Problem:
        return validation.required_text(self.why, "why")


class RetryExecution(Command, frozen=True, kw_only=True):
    """``expected_version`` is the version at which the caller saw the execution as FAILED."""

    expected_version: int
