"""The fields of an execution, and snapshots. Current executions are in :mod:`api.schema.nodes`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry
from strawberry.types import Info

from api.context import context_of
from api.schema.approvals import ApprovalSnapshot
from api.schema.arguments import After, First
from api.schema.enums import ExecutionState, ParentEnd
from api.schema.limits import page_size
from api.schema.paging import PageInfo, json_size, number_of, slice_after
from api.schema.people import Actor
from api.schema.scalars import JSON
from domain import values
from domain.execution.state import Child as ChildState
from domain.execution.state import Execution as State
from domain.execution.state import Step as StepState

DETAILS = '{"placet":'
"""Begins the last line of an error if that line is JSON for programs, as the Python sdk writes."""


def _for_people(error: str) -> str:
    """Return the text of an error without a last line that is for programs."""
    text, found, last = error.rpartition("\n")
    return text if found and last.startswith(DETAILS) else error


@strawberry.type(description="A step of an execution, identified by its key.")
class Step:
    key: str
    name: str
    attempts: int
    result: JSON | None
    error: str | None = strawberry.field(
        description="The error of the last attempt, if no attempt has succeeded yet, as text for "
        "people. The event StepFailed has all that was recorded."
    )
    completed_at: datetime | None

    @classmethod
    def of(cls, step: StepState) -> "Step":
        """Make the GraphQL type of a step."""
        return cls(
            key=step.key,
            name=step.name,
            attempts=step.attempts,
            result=step.result,
            error=None if step.error is None else _for_people(step.error),
            completed_at=step.completed_at,
        )


@strawberry.type(description="A step in a page, with its cursor.")
class StepEdge:
    cursor: str
    node: Step


@strawberry.type(description="A page of steps.")
class StepConnection:
    edges: list[StepEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, steps: Sequence[StepState], after: int, size: int) -> "StepConnection":
        """Make a page out of all steps."""
        page, more = slice_after(steps, after, size, lambda step: json_size(step.result))
        edges = [StepEdge(cursor=str(step.ordinal), node=Step.of(step)) for step in page]
        cursors = [edge.cursor for edge in edges]
        return cls(
            edges=edges,
            page_info=PageInfo.of(cursors, has_next=more, has_previous=after > 0),
        )


@strawberry.type(description="The execution and version that a forked execution started from.")
class ForkOrigin:
    execution_id: strawberry.ID
    version: int


@strawberry.type(description="The execution that started this one as its child, under a key.")
class Parent:
    execution_id: strawberry.ID
    key: str
    round: int

    @classmethod
    def of(cls, parent: values.Parent) -> "Parent":
        """Make the GraphQL type of a parent."""
        execution_id = strawberry.ID(str(parent.execution_id))
        return cls(execution_id=execution_id, key=parent.key, round=parent.round)


@strawberry.type(description="An execution that another execution started.")
class Child:
    key: str
    round: int
    execution_id: strawberry.ID
    workflow: str
    outcome: ExecutionState | None = strawberry.field(
        description="The final state of the child; null until it has ended."
    )
    on_parent_end: ParentEnd | None = strawberry.field(
        description="What becomes of the child if the parent ends before it. Null: it is cancelled "
        "if the parent is cancelled, and goes on otherwise."
    )

    @classmethod
    def of(cls, child: ChildState) -> "Child":
        """Make the GraphQL type of a child."""
        return cls(
            key=child.key,
            round=child.round,
            execution_id=strawberry.ID(str(child.id)),
            workflow=child.workflow,
            outcome=child.outcome,
            on_parent_end=child.on_parent_end,
        )


@strawberry.type(description="A name and a value that executions can be found by.")
class Label:
    name: str
    value: str


@strawberry.interface(description="An execution at one version.")
class ExecutionView:
    of_execution: strawberry.Private[State]
    partial: strawberry.Private[bool]
    workflow: str
    workflow_version: str | None
    queue: str
    state: ExecutionState
    version: int = strawberry.field(description="The number of events up to this state.")
    fence: int = strawberry.field(
        description="The fencing number: 0 before the first claim, then one more with each claim."
    )
    worker: str | None
    input: JSON | None
    result: JSON | None
    error: str | None
    on_behalf_of: str | None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    cancel_requested_at: datetime | None = strawberry.field(
        description="When it was cancelled, if the cancellation had to wait for the clean-up of "
        "its workflow. Until that is over it is not CANCELLED yet; null otherwise."
    )
    asleep: bool = strawberry.field(
        description="Whether its worker only waits for timers, signals or children."
    )
    parked: str | None = strawberry.field(
        description="Why workers must not continue it until a person unparks it; null if it is not "
        "parked."
    )
    woken_version: int = strawberry.field(
        description="The version of the latest event that gave a waiting worker something to do; "
        "0 if there was none."
    )
    parent: Parent | None = strawberry.field(
        description="The execution that started this one; null if it has no parent."
    )

    @strawberry.field
    def labels(self) -> list[Label]:
        return [Label(name=label.name, value=label.value) for label in self.of_execution.labels]

    @strawberry.field
    def initiator(self) -> Actor:
        return Actor.of(self.of_execution.initiator)

    @strawberry.field(description="When its next timer fires; null if no timer is set.")
    async def wakes_at(self, info: Info) -> datetime | None:
        return (await self.whole(info)).wakes_at

    @strawberry.field(
        description="Its children in the order of their keys, each in its latest round."
    )
    async def children(self, info: Info) -> list[Child]:
        whole = await self.whole(info)
        return [Child.of(child) for _, child in sorted(whole.children.items())]

    @strawberry.field(description="Its steps, in the order of their first attempts.")
    async def steps(self, info: Info, first: First = 100, after: After = None) -> StepConnection:
        size, start = page_size(first, 100), number_of(after, "after") or 0
        whole = await self.whole(info)
        return StepConnection.of(whole.steps_in_order(), start, size)

    async def whole(self, info: Info) -> State:
        """Return the execution with its steps and approvals, which read models do not have."""
        execution = self.of_execution
        if not self.partial:
            return execution
        reader = context_of(info).services.reader
        whole = await reader.past.at_version(execution.id, execution.version)
        if whole is None:
            msg = f"the log has no version {execution.version} of {execution.id}; a read model has"
            raise LookupError(msg)
        return whole


def execution_fields(execution: State, *, partial: bool) -> dict[str, Any]:
    """Return the fields of an execution that need no resolver."""
    return {
        "of_execution": execution,
        "partial": partial,
        "workflow": execution.workflow,
        "workflow_version": execution.workflow_version,
        "queue": execution.queue,
        "state": execution.state,
        "version": execution.version,
        "fence": execution.fence,
        "worker": execution.worker,
        "input": execution.input,
        "result": execution.result,
        "error": execution.error,
        "on_behalf_of": execution.on_behalf_of,
        "started_at": execution.started_at,
        "updated_at": execution.updated_at,
        "ended_at": execution.ended_at,
        "cancel_requested_at": execution.cancel_requested_at,
        "asleep": execution.asleep,
        "parked": execution.parked,
        "woken_version": execution.woken_version,
        "parent": None if execution.parent is None else Parent.of(execution.parent),
    }


@strawberry.type(
    description="An execution as it was at an earlier version. It has no id, so that no cache "
    "takes it for the current one."
)
class ExecutionSnapshot(ExecutionView):
    execution_id: str
    as_of: datetime = strawberry.field(description="The time of the last event up to this state.")

    @strawberry.field(description="Its approvals, in the order of their requests.")
    def approvals(self) -> list[ApprovalSnapshot]:
        execution = self.of_execution
        return [ApprovalSnapshot.of(execution, a) for a in execution.approvals_in_order()]

    @classmethod
    def of(cls, execution: State) -> "ExecutionSnapshot":
        """Make the GraphQL type of an execution at an earlier version."""
        return cls(
            execution_id=str(execution.id),
            as_of=execution.updated_at,
            **execution_fields(execution, partial=False),
        )
