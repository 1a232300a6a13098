"""Filters of executions, approvals and events."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import strawberry

from api.schema.enums import ApprovalStatus, ExecutionState
from api.schema.ids import execution_id_of
from api.schema.inputs.executions import LabelInput
from application.event_store.reader import EventQuery
from domain.names import normal
from projections.approvals.query import ApprovalFilter
from projections.executions.query import ExecutionFilter
from projections.querying.where_clause import storable

T = TypeVar("T")


def as_tuple(values: Iterable[T] | None) -> tuple[T, ...] | None:
    """Return the values as a tuple, None for None."""
    return None if values is None else tuple(values)


@strawberry.input(
    name="ExecutionFilter",
    description="Which executions to return. All conditions must hold: of a list any value, of the "
    "labels each one.",
)
class ExecutionFilterInput:
    state: list[ExecutionState] | None = strawberry.field(
        default=None, description="States that it may be in."
    )
    parked: bool | None = strawberry.field(default=None, description="Whether it is parked.")
    workflow: list[str] | None = strawberry.field(
        default=None, description="Names of workflows, one of which it runs."
    )
    queue: list[str] | None = strawberry.field(
        default=None, description="Names of queues, one of which it is on."
    )
    initiator: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids of the people or programs that started it."
    )
    labels: list[LabelInput] | None = strawberry.field(
        default=None, description="Labels that it must all have."
    )
    started_after: datetime | None = strawberry.field(
        default=None, description="It started after this moment."
    )
    started_before: datetime | None = strawberry.field(
        default=None, description="It started before this moment."
    )
    text: str | None = strawberry.field(
        default=None, description="Words to find in the workflow, labels, titles and payloads."
    )

    def value_of(self) -> ExecutionFilter:
        """Make the filter of the read model."""
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
    name="ApprovalFilter",
    description="Which approvals to return. All conditions must hold: of a list any value.",
)
class ApprovalFilterInput:
    status: list[ApprovalStatus] | None = strawberry.field(
        default=None, description="Statuses that it may have."
    )
    decidable_by_viewer: bool | None = strawberry.field(
        default=None,
        description="Whether the viewer may decide it now; false: only those that the viewer "
        "may not decide.",
    )
    group: list[str] | None = strawberry.field(
        default=None, description="Groups, one of which the policy must name."
    )
    workflow: list[str] | None = strawberry.field(
        default=None, description="Names of workflows, one of which it runs."
    )
    execution_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of its execution."
    )
    deadline_before: datetime | None = strawberry.field(
        default=None, description="Its deadline is before this moment."
    )
    text: str | None = strawberry.field(
        default=None, description="Words to find in the workflow, title and payload."
    )

    def value_of(self) -> ApprovalFilter:
        """Make the filter of the read model."""
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


@strawberry.input(
    name="EventFilter",
    description="Which events to return. All conditions must hold: of a list any value.",
)
class EventFilterInput:
    execution_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the execution."
    )
    types: list[str] | None = strawberry.field(
        default=None, description="Types of events, such as ApprovalGranted."
    )
    actor: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids of the people or programs that caused it."
    )
    since: datetime | None = strawberry.field(
        default=None, description="It was recorded at this moment or later."
    )
    until: datetime | None = strawberry.field(
        default=None, description="It was recorded at this moment or earlier."
    )

    def value_of(self, queues: frozenset[str] | None) -> EventQuery:
        """Make the query of the log, for a viewer of these queues (None: all)."""
        execution_id = None if self.execution_id is None else execution_id_of(self.execution_id)
        return EventQuery(
            execution_id=execution_id,
            types=None if self.types is None else frozenset(self.types),
            # Old events have names as they were sent.
            actors=None
            if self.actor is None
            else frozenset(storable([*self.actor, *map(normal, self.actor)])),
            since=self.since,
            until=self.until,
            queues=queues,
        )
