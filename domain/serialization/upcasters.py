"""The older shapes of events, and how each becomes the next one.

An event that is stored under an older topic is decoded into the struct that it had then, and an
upcaster makes the next shape of it, until the present one. Only the codec uses this: nothing else
in the program knows an older shape. The stored bytes and their hash never change.

To change an event: give its type the next topic, put the old struct here with a function that
makes the new event of it, and add both to ``UPCASTERS``. The golden file of the old topic stays.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
    DecisionContent,
)
from domain.directory.events import DIRECTORY_EVENTS
from domain.directory.key_events import KEY_EVENTS
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    EVENT_TYPES,
    ChildStarted,
    StartedContent,
)
from domain.standing_grants.events import STANDING_GRANT_EVENTS

_DECISION = DecisionContent()
_STARTED = StartedContent()


class Upcaster(NamedTuple):
    """An older shape, and the function that makes the next shape of such an event."""

    shape: type[Event]
    upcast: Callable[[Any], Event]


class _DecidedV1(Event, frozen=True, kw_only=True):
    """A decision that recorded only those of the person's groups that the policy names."""

    ordinal: int
    digest: str
    rule: str
    groups: tuple[str, ...] = ()
    resolves: bool = False
    on_behalf_of: str | None = None
    content: DecisionContent = _DECISION


class _ApprovalGrantedV1(_DecidedV1, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-granted.v1"


class _ApprovalRejectedV1(_DecidedV1, frozen=True, kw_only=True):
    topic: ClassVar[str] = "execution.approval-rejected.v1"


def _decided_v2(event_type: type[ApprovalGranted | ApprovalRejected]) -> Callable[[Any], Event]:
    def upcast(old: _DecidedV1) -> Event:
        return event_type(
            ordinal=old.ordinal,
            digest=old.digest,
            rule=old.rule,
            groups=old.groups,
            all_groups_known=False,
            resolves=old.resolves,
            on_behalf_of=old.on_behalf_of,
            content=old.content,
        )

    return upcast


class _ChildStartedV1(Event, frozen=True, kw_only=True):
    """A child of which nothing was said for the end of its parent."""

    topic: ClassVar[str] = "execution.child-started.v1"
    key: str
    round: int
    child_id: UUID
    workflow: str
    workflow_version: str | None = None
    queue: str
    content: StartedContent = _STARTED


def _child_started_v2(old: _ChildStartedV1) -> ChildStarted:
    return ChildStarted(
        key=old.key,
        round=old.round,
        child_id=old.child_id,
        workflow=old.workflow,
        workflow_version=old.workflow_version,
        queue=old.queue,
        content=old.content,
    )


UPCASTERS: Mapping[str, Upcaster] = {
    upcaster.shape.topic: upcaster
    for upcaster in (
        Upcaster(_ApprovalGrantedV1, _decided_v2(ApprovalGranted)),
        Upcaster(_ApprovalRejectedV1, _decided_v2(ApprovalRejected)),
        Upcaster(_ChildStartedV1, _child_started_v2),
    )
}
"""By the topic of the older shape."""

SHAPES: tuple[type[Event], ...] = (
    *EVENT_TYPES,
    *STANDING_GRANT_EVENTS,
    *DIRECTORY_EVENTS,
    *KEY_EVENTS,
    *(each.shape for each in UPCASTERS.values()),
)
"""All shapes in which events are stored: the present ones, and the older ones."""


def upcast(event: Event) -> Event:
    """Return an event in its present shape."""
    while (upcaster := UPCASTERS.get(event.topic)) is not None:
        event = upcaster.upcast(event)
    return event
