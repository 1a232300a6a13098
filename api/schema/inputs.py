"""Inputs, and the commands that they become. An explicit null means the default."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import strawberry

from api.schema.enums import ApprovalStatus, ExecutionState, ExpiryAction
from api.schema.ids import NOWHERE, approval_id_of, execution_id_of
from api.schema.scalars import JSON
from api.schema.waits import (
    ChildInput,
    ParkingInput,
    SignalInput,
    SuspensionInput,
    TimerCancellationInput,
    TimerInput,
)
from application.event_store.reader import EventQuery
from domain import values
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Verdict
from domain.execution import commands
from domain.identifiers import parse_uuid
from projections.approvals.query import ApprovalFilter
from projections.executions.query import ExecutionFilter
from projections.querying.where_clause import storable

T = TypeVar("T")


def as_tuple(values: Iterable[T] | None) -> tuple[T, ...] | None:
    """Give values as a tuple; None stays None."""
    return None if values is None else tuple(values)


@strawberry.input(description="A label to put on an execution or to find it by.")
class LabelInput:
    name: str
    value: str

    def value_of(self) -> values.Label:
        """Give the domain's value."""
        return values.Label(name=self.name, value=self.value)


@strawberry.input(description="What to start.")
class StartExecutionInput:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="A UUID of the client's choice."
    )
    workflow: str
    workflow_version: str | None = None
    queue: str | None = "default"
    input: JSON | None = None
    labels: list[LabelInput] | None = None
    on_behalf_of: str | None = strawberry.field(
        default=None, description="For whom it is started; four eyes bars this person too."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="Unique for the workflow and the token's owner."
    )

    def command(self, by: values.Principal) -> commands.StartExecution:
        """Build the command."""
        chosen = None if self.id is None else parse_uuid(self.id)
        # The command refuses a given id that is not the one it has: what is no UUID, and the one
        # that no execution may have.
        return commands.StartExecution(
            by=by,
            execution_id=chosen if chosen is not None and chosen != NOWHERE else uuid4(),
            given_id=self.id,
            workflow=self.workflow,
            workflow_version=self.workflow_version,
            queue="default" if self.queue is None else self.queue,
            input=self.input,
            labels=tuple(label.value_of() for label in self.labels or ()),
            on_behalf_of=self.on_behalf_of,
            key=self.idempotency_key,
        )


@strawberry.input(description="People who are needed; at least one group or user.")
class RequirementInput:
    count: int | None = 1
    groups: list[str] | None = None
    users: list[str] | None = None

    def value_of(self) -> Requirement:
        """Give the domain's value."""
        return Requirement(
            count=1 if self.count is None else self.count,
            groups=tuple(self.groups or ()),
            users=tuple(self.users or ()),
        )


@strawberry.input(description="Who has to agree.")
class ApprovalPolicyInput:
    requirements: list[RequirementInput]
    rejections: int | None = 1
    allow_initiator: bool | None = False
    on_expiry: ExpiryAction | None = ExpiryAction.REJECT
    escalate_to: list[str] | None = None

    def value_of(self) -> Policy:
        """Give the domain's value."""
        return Policy(
            requirements=tuple(r.value_of() for r in self.requirements),
            rejections=1 if self.rejections is None else self.rejections,
            allow_initiator=bool(self.allow_initiator),
            on_expiry=self.on_expiry or ExpiryAction.REJECT,
            escalate_to=tuple(self.escalate_to or ()),
        )


@strawberry.input(description="What to ask of whom. Forms and deadlines are refused for now.")
class RequestApprovalInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    title: str
    description: str | None = None
    payload: JSON
    form: JSON | None = None
    policy: ApprovalPolicyInput
    deadline: datetime | None = None

    def command(self, by: values.Principal) -> commands.RequestApproval:
        """Build the command."""
        return commands.RequestApproval(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            title=self.title,
            description=self.description,
            payload=self.payload,
            form=self.form,
            policy=self.policy.value_of(),
            deadline=self.deadline,
        )


@strawberry.input(description="A grant. Answers and amendments are refused for now.")
class DecisionInput:
    approval_id: strawberry.ID
    digest: str
    comment: str | None = None
    answers: JSON | None = None
    amended_payload: JSON | None = None

    def command(self, by: values.Principal) -> commands.Decide:
        """Build the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.Decide(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=Verdict.GRANTED,
            digest=self.digest,
            comment=self.comment,
            answers=self.answers,
            amended_payload=self.amended_payload,
        )


@strawberry.input(description="A rejection, with its reason.")
class RejectionInput:
    approval_id: strawberry.ID
    digest: str
    comment: str

    def command(self, by: values.Principal) -> commands.Decide:
        """Build the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.Decide(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=Verdict.REJECTED,
            digest=self.digest,
            comment=self.comment,
        )


@strawberry.input(description="Takes a question back.")
class WithdrawalInput:
    approval_id: strawberry.ID
    fence: int | None = None
    reason: str

    def command(self, by: values.Principal) -> commands.WithdrawApproval:
        """Build the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.WithdrawApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            reason=self.reason,
        )


@strawberry.input(description="Says that what was granted is about to be done, once.")
class RedemptionInput:
    approval_id: strawberry.ID
    fence: int | None = None
    payload_digest: str
    redemption_key: str

    def command(self, by: values.Principal) -> commands.RedeemApproval:
        """Build the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.RedeemApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            payload_digest=self.payload_digest,
            redemption_key=self.redemption_key,
        )


@strawberry.input(description="A step's result, or with an error one attempt that failed.")
class StepInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    name: str
    attempt: int | None = 1
    result: JSON | None = None
    error: str | None = None

    def command(self, by: values.Principal) -> commands.RecordStep:
        """Build the command."""
        return commands.RecordStep(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            name=self.name,
            attempt=1 if self.attempt is None else self.attempt,
            result=self.result,
            error=self.error,
        )


@strawberry.input(description="The end of an execution that did its work.")
class CompletionInput:
    execution_id: strawberry.ID
    fence: int | None = None
    result: JSON | None = None

    def command(self, by: values.Principal) -> commands.CompleteExecution:
        """Build the command."""
        return commands.CompleteExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            result=self.result,
        )


@strawberry.input(description="The end of an execution that could not do its work.")
class FailureInput:
    execution_id: strawberry.ID
    fence: int | None = None
    error: str

    def command(self, by: values.Principal) -> commands.FailExecution:
        """Build the command."""
        return commands.FailExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            error=self.error,
        )


@strawberry.input(description="The end of an execution that is no longer wanted.")
class CancellationInput:
    execution_id: strawberry.ID
    reason: str

    def command(self, by: values.Principal) -> commands.CancelExecution:
        """Build the command."""
        return commands.CancelExecution(
            by=by, execution_id=execution_id_of(self.execution_id), reason=self.reason
        )


@strawberry.input(description="Lets a failed execution run again.")
class RetryInput:
    execution_id: strawberry.ID
    expected_version: int = strawberry.field(
        description="The version at which it was seen to have failed."
    )

    def command(self, by: values.Principal) -> commands.RetryExecution:
        """Build the command."""
        return commands.RetryExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            expected_version=self.expected_version,
        )


@strawberry.input(one_of=True, description="One command of a worker.")
class CommandInput:
    start_execution: StartExecutionInput | None = strawberry.UNSET
    record_step: StepInput | None = strawberry.UNSET
    request_approval: RequestApprovalInput | None = strawberry.UNSET
    withdraw_approval: WithdrawalInput | None = strawberry.UNSET
    redeem_approval: RedemptionInput | None = strawberry.UNSET
    set_timer: TimerInput | None = strawberry.UNSET
    cancel_timer: TimerCancellationInput | None = strawberry.UNSET
    send_signal: SignalInput | None = strawberry.UNSET
    start_child: ChildInput | None = strawberry.UNSET
    suspend_execution: SuspensionInput | None = strawberry.UNSET
    park_execution: ParkingInput | None = strawberry.UNSET
    complete_execution: CompletionInput | None = strawberry.UNSET
    fail_execution: FailureInput | None = strawberry.UNSET

    def command(self, by: values.Principal) -> commands.Command:
        """Build the command that was given."""
        command: commands.Command = chosen(self).command(by)
        return command


def chosen(given: Any) -> Any:
    """Give the input itself, of a CommandInput the one in it."""
    if not isinstance(given, CommandInput):
        return given
    return next(v for v in vars(given).values() if v is not strawberry.UNSET)


@strawberry.input(
    name="ExecutionFilter",
    description="Which executions are wanted: any of each list, all of the labels.",
)
class ExecutionFilterInput:
    state: list[ExecutionState] | None = None
    parked: bool | None = None
    workflow: list[str] | None = None
    queue: list[str] | None = None
    initiator: list[strawberry.ID] | None = None
    labels: list[LabelInput] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    text: str | None = strawberry.field(
        default=None, description="Words of the workflow, labels, titles and payloads."
    )

    def value_of(self) -> ExecutionFilter:
        """Give the read model's filter."""
        labels = None if self.labels is None else tuple(label.value_of() for label in self.labels)
        return ExecutionFilter(
            states=as_tuple(self.state),
            parked=self.parked,
            workflows=as_tuple(self.workflow),
            queues=as_tuple(self.queue),
            initiators=as_tuple(self.initiator),
            labels=labels,
            started_after=self.started_after,
            started_before=self.started_before,
            text=self.text,
        )


@strawberry.input(
    name="ApprovalFilter", description="Which approvals are wanted: any of each list."
)
class ApprovalFilterInput:
    status: list[ApprovalStatus] | None = None
    decidable_by_viewer: bool | None = None
    group: list[str] | None = None
    workflow: list[str] | None = None
    execution_id: strawberry.ID | None = None
    deadline_before: datetime | None = None
    text: str | None = strawberry.field(
        default=None, description="Words of the workflow, labels, title and payload."
    )

    def value_of(self) -> ApprovalFilter:
        """Give the read model's filter."""
        execution_id = None if self.execution_id is None else execution_id_of(self.execution_id)
        return ApprovalFilter(
            statuses=as_tuple(self.status),
            decidable_by_viewer=self.decidable_by_viewer,
            groups=as_tuple(self.group),
            workflows=as_tuple(self.workflow),
            execution_id=execution_id,
            deadline_before=self.deadline_before,
            text=self.text,
        )


@strawberry.input(name="EventFilter", description="Which events are wanted: any of each list.")
class EventFilterInput:
    execution_id: strawberry.ID | None = None
    types: list[str] | None = None
    actor: list[strawberry.ID] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def value_of(self, queues: frozenset[str] | None) -> EventQuery:
        """Give the query of the log, for who sees only these queues (None: all)."""
        execution_id = None if self.execution_id is None else execution_id_of(self.execution_id)
        return EventQuery(
            execution_id=execution_id,
            types=None if self.types is None else frozenset(self.types),
            actors=None if self.actor is None else frozenset(storable(self.actor)),
            since=self.since,
            until=self.until,
            queues=queues,
        )
