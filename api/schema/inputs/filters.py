"""Filters of executions, approvals, decisions and events."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import strawberry

from api.schema.enums import ApprovalStatus, ExecutionState, Verdict
from api.schema.ids import execution_id_of, id_range_of
from api.schema.inputs.executions import LabelInput
from api.schema.limits import check_values
from domain.names import normal
from projections.approvals.query import ApprovalFilter
from projections.decisions.query import DecisionFilter
from projections.events.query import EventQuery
from projections.executions.query import ExecutionFilter
from projections.querying.where_clause import storable

T = TypeVar("T")


def as_tuple(values: Sequence[T] | None, name: str) -> tuple[T, ...] | None:
    """Return the values as a tuple, None for None. Raises LIMIT_EXCEEDED for too many."""
    check_values(values, f"filter.{name}")
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
    id_begins_with: str | None = strawberry.field(
        default=None, description="The beginning of its id, of one digit at least."
    )

    def value_of(self) -> ExecutionFilter:
        """Make the filter of the read model."""
        check_values(self.labels, "filter.labels")
        labels = None if self.labels is None else tuple(label.value_of() for label in self.labels)
        return ExecutionFilter(
            states=as_tuple(self.state, "state"),
            parked=self.parked,
            workflows=as_tuple(self.workflow, "workflow"),
            queues=as_tuple(self.queue, "queue"),
            initiators=as_tuple(self.initiator, "initiator"),
            labels=labels,
            started_after=self.started_after,
            started_before=self.started_before,
            id_range=id_range_of(self.id_begins_with, "filter.idBeginsWith"),
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
        default=None,
        description="Groups, one of which the policy names, or to which it was escalated.",
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
    id_begins_with: str | None = strawberry.field(
        default=None, description="The beginning of the id of its execution."
    )

    def value_of(self) -> ApprovalFilter:
        """Make the filter of the read model."""
        execution_id = None if self.execution_id is None else execution_id_of(self.execution_id)
        return ApprovalFilter(
            statuses=as_tuple(self.status, "status"),
            decidable_by_viewer=self.decidable_by_viewer,
            groups=as_tuple(self.group, "group"),
            workflows=as_tuple(self.workflow, "workflow"),
            execution_id=execution_id,
            deadline_before=self.deadline_before,
            execution_id_range=id_range_of(self.id_begins_with, "filter.idBeginsWith"),
            text=self.text,
        )


@strawberry.input(
    name="DecisionFilter",
    description="Which decisions to return. All conditions must hold: of a list any value.",
)
class DecisionFilterInput:
    person: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids of the people who decided."
    )
    on_behalf_of: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids of the people in whose place a delegate decided."
    )
    group: list[str] | None = strawberry.field(
        default=None,
        description="Groups, one of which the policy asked and the person held at the decision.",
    )
    rule: list[str] | None = strawberry.field(
        default=None,
        description="What made the person eligible, such as group:finance; deadline: nobody "
        "decided, and the policy granted it at the deadline.",
    )
    workflow: list[str] | None = strawberry.field(
        default=None, description="Names of workflows, one of which asked."
    )
    execution_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the execution."
    )
    verdict: list[Verdict] | None = strawberry.field(
        default=None, description="Verdicts, one of which it is."
    )
    since: datetime | None = strawberry.field(
        default=None, description="It was made at this moment or later."
    )
    until: datetime | None = strawberry.field(
        default=None, description="It was made at this moment or earlier."
    )

    def value_of(self) -> DecisionFilter:
        """Make the filter of the read model."""
        execution_id = None if self.execution_id is None else execution_id_of(self.execution_id)
        return DecisionFilter(
            people=as_tuple(self.person, "person"),
            on_behalf_of=as_tuple(self.on_behalf_of, "onBehalfOf"),
            groups=as_tuple(self.group, "group"),
            rules=as_tuple(self.rule, "rule"),
            workflows=as_tuple(self.workflow, "workflow"),
            execution_id=execution_id,
            verdicts=as_tuple(self.verdict, "verdict"),
            since=self.since,
            until=self.until,
        )


@strawberry.input(
    name="EventFilter",
    description="Which events to return. All conditions must hold: of a list any value.",
)
class EventFilterInput:
    execution_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the execution, standing grant or person's stream."
    )
    types: list[str] | None = strawberry.field(
        default=None, description="Types of events, such as ApprovalGranted."
    )
    actor: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Ids of the people or programs that caused it."
    )
    workflow: list[str] | None = strawberry.field(
        default=None, description="Names of workflows, one of which its execution runs."
    )
    since: datetime | None = strawberry.field(
        default=None, description="It was recorded at this moment or later."
    )
    until: datetime | None = strawberry.field(
        default=None, description="It was recorded at this moment or earlier."
    )

    def value_of(self, queues: frozenset[str] | None, *, beside_executions: bool) -> EventQuery:
        """Make the query of the log, for a viewer of these queues (None: all).

        ``beside_executions``: whether the viewer sees those of standing grants and the directory.
        """
        check_values(self.types, "filter.types")
        check_values(self.actor, "filter.actor")
        check_values(self.workflow, "filter.workflow")
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
            workflows=None if self.workflow is None else frozenset(self.workflow),
            queues=queues,
            beside_executions=beside_executions,
        )
