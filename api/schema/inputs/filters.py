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
    state: list[ExecutionState] | None = None
    parked: bool | None = None
    workflow: list[str] | None = None
    queue: list[str] | None = None
    initiator: list[strawberry.ID] | None = None
    labels: list[LabelInput] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
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
    status: list[ApprovalStatus] | None = None
    decidable_by_viewer: bool | None = None
    group: list[str] | None = None
    workflow: list[str] | None = None
    execution_id: strawberry.ID | None = None
    deadline_before: datetime | None = None
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
    execution_id: strawberry.ID | None = None
    types: list[str] | None = None
    actor: list[strawberry.ID] | None = None
    since: datetime | None = None
    until: datetime | None = None

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
