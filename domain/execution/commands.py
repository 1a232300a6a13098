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
from domain.approvals.policy import Policy, check_policy
from domain.approvals.state import Verdict
from domain.identifiers import parse_uuid
from domain.names import normal
from domain.serialization.canonical_json import canonical, digest
from domain.validation import Problem, first, optional
from domain.values import ExecutionState, Label, Parent, Principal


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all commands: the caller and the execution.

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


class WorkerApprovalCommand(WorkerCommand, frozen=True, kw_only=True):
    """A worker's command about the approval with this ordinal."""

    ordinal: int


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
    worker: str

    def check(self) -> Problem:
        return validation.name(self.worker, "worker")


class RecordStep(WorkerCommand, frozen=True, kw_only=True):
    """Record the result of a step, or with ``error`` one failed attempt."""

    key: str
    name: str
    attempt: int = 1
    result: Any = None
    error: str | None = None

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
        )


class RequestApproval(WorkerCommand, frozen=True, kw_only=True):
    """The API has ``form`` and ``deadline``, but they are refused until the server acts on them."""

    key: str
    title: str
    description: str | None = None
    payload: Any
    form: Any = None
    policy: Policy
    deadline: Any = None
    canonical_payload: bytes = b""
    payload_digest: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.problem is None:
            data = canonical(self.payload)
            msgspec.structs.force_setattr(self, "canonical_payload", data)
            msgspec.structs.force_setattr(self, "payload_digest", digest(data))

    def check(self) -> Problem:
        return first(
            validation.name(self.key, "key"),
            validation.required_text(self.title, "title", validation.MAX_TITLE),
            optional(validation.text, self.description, "description"),
            validation.unsupported(self.form, "form", "forms"),
            validation.unsupported(self.deadline, "deadline", "deadlines"),
            check_policy(self.policy),
            validation.json(self.payload, "payload"),
        )


class WithdrawApproval(WorkerApprovalCommand, frozen=True, kw_only=True):
    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class Decide(Command, frozen=True, kw_only=True):
    """Grant or reject the document that has this digest."""

    ordinal: int
    verdict: Verdict
    digest: str
    comment: str | None = None
    answers: Any = None
    amended_payload: Any = None

    def check(self) -> Problem:
        if self.verdict is Verdict.REJECTED and not (self.comment or "").strip():
            return "comment must not be empty: a rejection says why"
        return first(
            validation.name(self.digest, "digest"),
            optional(validation.text, self.comment, "comment"),
            validation.unsupported(self.answers, "answers", "forms"),
            validation.unsupported(self.amended_payload, "amendedPayload", "amendments"),
        )


class RedeemApproval(WorkerApprovalCommand, frozen=True, kw_only=True):
    payload_digest: str
    redemption_key: str

    def check(self) -> Problem:
        return first(
            validation.name(self.payload_digest, "payloadDigest"),
            validation.name(self.redemption_key, "redemptionKey"),
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


class RetryExecution(Command, frozen=True, kw_only=True):
    """``expected_version`` is the version at which the caller saw the execution as FAILED."""

    expected_version: int


ApprovalCommand = WorkerApprovalCommand | Decide
