"""What can be sent: one Struct for each input of the contract.

Fields that are None are not sent, so the defaults of the service hold. The commands of workers,
which have a ``field``, can also be sent together in one ``submit``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from placet.models.enums import ApprovalStatus, ExecutionState, ParentEnd, Verdict
from placet.policy import Policy


class Input(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Base of all inputs."""


class Command(Input, frozen=True):
    """A command that ``submit`` takes; ``field`` is its name there."""

    field: ClassVar[str]


class LabelInput(Input, kw_only=True, frozen=True):
    """A name and a value to put on an execution."""

    name: str
    value: str


class StartExecution(Command, kw_only=True, frozen=True):
    """Start an execution. It is idempotent by (owner, workflow, key) or by the id."""

    field: ClassVar[str] = "startExecution"
    id: str | None = None
    workflow: str
    workflow_version: str | None = None
    queue: str = "default"
    input: Any = None
    labels: Sequence[LabelInput] | None = None
    on_behalf_of: str | None = None
    idempotency_key: str | None = None


class RecordStep(Command, kw_only=True, frozen=True):
    """Record a step's result, or with ``error`` one attempt that failed."""

    field: ClassVar[str] = "recordStep"
    execution_id: str
    fence: int | None = None
    key: str
    name: str
    attempt: int = 1
    result: Any = None
    error: str | None = None
    arguments_digest: str | None = None


class RequestApproval(Command, kw_only=True, frozen=True):
    """Ask people to approve a payload. It is idempotent by (execution, key, round)."""

    field: ClassVar[str] = "requestApproval"
    execution_id: str
    fence: int | None = None
    key: str
    title: str
    description: str | None = None
    payload: Any
    form: Any = None
    policy: Policy
    deadline: datetime | None = None


class WithdrawApproval(Command, kw_only=True, frozen=True):
    """Withdraw a request for approval."""

    field: ClassVar[str] = "withdrawApproval"
    approval_id: str
    fence: int | None = None
    reason: str


class RedeemApproval(Command, kw_only=True, frozen=True):
    """Use a granted approval, once, for the payload with this digest."""

    field: ClassVar[str] = "redeemApproval"
    approval_id: str
    fence: int | None = None
    payload_digest: str
    redemption_key: str


class SetTimer(Command, kw_only=True, frozen=True):
    """Set a timer; exactly one of ``delay``, an ISO 8601 duration, and ``until``."""

    field: ClassVar[str] = "setTimer"
    execution_id: str
    fence: int | None = None
    key: str
    delay: str | None = None
    until: datetime | None = None


class CancelTimer(Command, kw_only=True, frozen=True):
    """Cancel a timer."""

    field: ClassVar[str] = "cancelTimer"
    execution_id: str
    fence: int | None = None
    key: str


class SendSignal(Command, kw_only=True, frozen=True):
    """Send data to an execution. It is idempotent by its key."""

    field: ClassVar[str] = "sendSignal"
    execution_id: str
    name: str
    payload: Any = None
    key: str


class StartChild(Command, kw_only=True, frozen=True):
    """Start another execution for this one, under a key."""

    field: ClassVar[str] = "startChild"
    execution_id: str
    fence: int | None = None
    key: str
    workflow: str
    workflow_version: str | None = None
    queue: str = "default"
    input: Any = None
    on_parent_end: ParentEnd | None = None


class SuspendExecution(Command, kw_only=True, frozen=True):
    """Say that the worker waits for nothing but timers, signals and children.

    ``seen`` is the ``woken_version`` up to which it has dealt with what came.
    """

    field: ClassVar[str] = "suspendExecution"
    execution_id: str
    fence: int | None = None
    seen: int


class ParkExecution(Command, kw_only=True, frozen=True):
    """Keep every worker from an execution until a person lets it go on."""

    field: ClassVar[str] = "parkExecution"
    execution_id: str
    fence: int | None = None
    reason: str


class CompleteExecution(Command, kw_only=True, frozen=True):
    """End an execution with its result."""

    field: ClassVar[str] = "completeExecution"
    execution_id: str
    fence: int | None = None
    result: Any = None


class FailExecution(Command, kw_only=True, frozen=True):
    """End an execution with an error; pending approvals are withdrawn."""

    field: ClassVar[str] = "failExecution"
    execution_id: str
    fence: int | None = None
    error: str


class Grant(Input, kw_only=True, frozen=True):
    """Grant the document with this digest. ``key`` identifies this call, for repeats of it.

    ``amended_payload``: the payload as it is granted, if that is another one.
    """

    approval_id: str
    digest: str
    comment: str | None = None
    answers: Any = None
    amended_payload: Any = None
    key: str | None = None


class Rejection(Input, kw_only=True, frozen=True):
    """Reject the document with this digest. ``comment`` says why."""

    approval_id: str
    digest: str
    comment: str
    key: str | None = None


class Changes(Input, kw_only=True, frozen=True):
    """Request changes of the document with this digest. ``comment`` says which."""

    approval_id: str
    digest: str
    comment: str
    key: str | None = None


class Retraction(Input, kw_only=True, frozen=True):
    """Take back the caller's own decision about a pending approval."""

    approval_id: str
    comment: str | None = None


class DelegationInput(Input, kw_only=True, frozen=True):
    """Hand the right to decide to the person with the id ``to``."""

    approval_id: str
    to: str
    comment: str | None = None


class TakeBack(Input, kw_only=True, frozen=True):
    """Take back the caller's own delegation."""

    approval_id: str


class Revocation(Input, kw_only=True, frozen=True):
    """Take back a grant that was not redeemed."""

    approval_id: str
    reason: str


class CommentText(Input, kw_only=True, frozen=True):
    """Add a comment to an approval. It is idempotent by its key."""

    approval_id: str
    text: str
    key: str | None = None


class Cancellation(Input, kw_only=True, frozen=True):
    """Cancel an execution."""

    execution_id: str
    reason: str


class Unparking(Input, kw_only=True, frozen=True):
    """Let workers go on with a parked execution."""

    execution_id: str


class Retry(Input, kw_only=True, frozen=True):
    """Continue a failed execution, if it is still at the version that the caller saw."""

    execution_id: str
    expected_version: int


class Holding(Input, kw_only=True, frozen=True):
    """An execution that a worker knows to hold, with the ``woken_version`` that it knows."""

    execution_id: str
    seen: int | None = None


class KnownWorkflow(Input, kw_only=True, frozen=True):
    """A workflow that a worker has code for.

    ``version`` None: every version that is not named too. ``cleans_up``: the code cleans up after a
    cancellation.
    """

    name: str
    version: str | None = None
    cleans_up: bool = False


class ClaimRequest(Input, kw_only=True, frozen=True):
    """Claim executions for a worker; ``lease`` and ``wait`` are ISO 8601 durations.

    ``workflows``: those that the worker knows; it gets no others. None: it knows all.
    ``transcripts``: whether claims come with their transcripts.
    """

    worker: str
    queues: Sequence[str]
    limit: int
    lease: str
    wait: str | None = None
    holding: Sequence[Holding] | None = None
    workflows: Sequence[KnownWorkflow] | None = None
    transcripts: bool | None = None


class Release(Input, kw_only=True, frozen=True):
    """An execution to give back.

    ``seen``: the ``woken_version`` up to which the worker has dealt with events; None: there is
    work left. ``fence``: that of the claim that is given back; None: of any claim.
    """

    execution_id: str
    seen: int | None = None
    fence: int | None = None


class ExecutionFilter(Input, kw_only=True, frozen=True):
    """Which executions: all conditions that are given must hold."""

    state: Sequence[ExecutionState] | None = None
    workflow: Sequence[str] | None = None
    queue: Sequence[str] | None = None
    parked: bool | None = None
    initiator: Sequence[str] | None = None
    labels: Sequence[LabelInput] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    text: str | None = None
    id_begins_with: str | None = None


class ApprovalFilter(Input, kw_only=True, frozen=True):
    """Which approvals: all conditions that are given must hold."""

    status: Sequence[ApprovalStatus] | None = None
    decidable_by_viewer: bool | None = None
    group: Sequence[str] | None = None
    workflow: Sequence[str] | None = None
    execution_id: str | None = None
    deadline_before: datetime | None = None
    text: str | None = None
    id_begins_with: str | None = None


class DecisionFilter(Input, kw_only=True, frozen=True):
    """Which decisions: all conditions that are given must hold. ``rule`` such as "group:finance".

    ``person`` decided, in the place of ``on_behalf_of``. ``group`` was asked by the policy.
    """

    person: Sequence[str] | None = None
    on_behalf_of: Sequence[str] | None = None
    group: Sequence[str] | None = None
    rule: Sequence[str] | None = None
    workflow: Sequence[str] | None = None
    execution_id: str | None = None
    verdict: Sequence[Verdict] | None = None
    since: datetime | None = None
    until: datetime | None = None


class EventFilter(Input, kw_only=True, frozen=True):
    """Which events: all conditions that are given must hold. ``types`` such as "Started"."""

    execution_id: str | None = None
    types: Sequence[str] | None = None
    actor: Sequence[str] | None = None
    workflow: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
