"""Which people an event is told to, and as what. ``docs/notifications.md`` has the table of it.

Nobody is told of what they did themselves. Those who are asked are those who may decide now and
have not; the others are those who asked, and those who take part. Whether a person may see the
approval is asked here and again when the message is sent.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from application import metrics
from application.event_store.chained_events import LoggedEvent
from application.notifications.message import MessageKind
from application.notifications.people import Addressee, People
from application.notifications.relevance import why_not
from domain.approvals import quorum
from domain.approvals.events import (
    ApprovalChangesRequested,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalWithdrawn,
    Decided,
    DecisionRetracted,
)
from domain.approvals.state import Approval, Verdict
from domain.execution.event import Event
from domain.execution.state import Execution
from domain.names import normal
from domain.standing_grants.matching import asks_anew

TELLING = (
    ApprovalRequested,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalChangesRequested,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRevoked,
    ApprovalWithdrawn,
    DecisionRetracted,
)
"""The events that people may be told of."""


class Told(NamedTuple):
    """A person who is told, and as what."""

    kind: MessageKind
    person: Addressee


class Recipients:
    """Finds who is told of an event. Raises psycopg errors or PoolTimeout.

    ``fallback_group`` is told of a request that too few known people can decide.
    """

    def __init__(self, people: People, *, fallback_group: str | None = None) -> None:
        self._people = people
        self._fallback_group = fallback_group

    async def of(self, event: LoggedEvent, execution: Execution, approval: Approval) -> list[Told]:
        """Return who is told of an event, given the state right after it."""
        happened, version = event.recorded.event, event.recorded.version
        told = await self._told(happened, execution, approval)
        own = {normal(event.recorded.actor.id)}
        if isinstance(happened, Decided) and happened.decided_by is not None:
            own.add(normal(happened.decided_by))
        found: dict[str, Told] = {}
        for each in told:
            if each.person.id in own or each.person.id in found:
                continue
            if why_not(each.kind, version, each.person, execution, approval) is None:
                found[each.person.id] = each
        return list(found.values())

    async def _told(self, event: Event, execution: Execution, approval: Approval) -> list[Told]:
        kind = _kind_for_deciders(event, approval)
        if kind is not None:
            asked = await self._people.eligible(execution, approval)
            told = [Told(kind, person) for person in asked]
            if kind is not MessageKind.REMINDER and _too_few(approval, len(asked)):
                if kind is MessageKind.OPENED:
                    metrics.TOO_FEW_PEOPLE.inc()
                told += await self._fallback()
            return told
        match event:
            case ApprovalDelegated():
                return await self._known(MessageKind.DELEGATED, [event.to])
            case ApprovalRevoked():
                ids = [*_asking(execution, approval), *_granted(approval)]
                return await self._known(MessageKind.REVOKED, ids)
            case ApprovalCommented():
                ids = [*_asking(execution, approval), *_taking_part(approval)]
                return await self._known(MessageKind.COMMENTED, ids)
            case ApprovalExpired() | ApprovalWithdrawn() | Decided(resolves=True):
                ids = [*_asking(execution, approval), *_decided(approval)]
                return await self._known(MessageKind.RESOLVED, ids)
            case ApprovalChangesRequested():
                ids = _asking(execution, approval)
                return await self._known(MessageKind.CHANGES_REQUESTED, ids)
        return []

    async def _known(self, kind: MessageKind, ids: Iterable[str]) -> list[Told]:
        wanted = list(dict.fromkeys(map(normal, ids)))
        known: Mapping[str, Addressee] = await self._people.people_of(wanted)
        return [Told(kind, known[id_]) for id_ in wanted if id_ in known]

    async def _fallback(self) -> list[Told]:
        if self._fallback_group is None:
            return []
        members = await self._people.members([normal(self._fallback_group)])
        return [Told(MessageKind.TOO_FEW_PEOPLE, person) for person in members]


def _kind_for_deciders(event: Event, approval: Approval) -> MessageKind | None:
    """Return as what those who may decide now are told of an event; None if they are not."""
    match event:
        case ApprovalRequested():
            return MessageKind.OPENED
        case ApprovalReminded():
            return MessageKind.REMINDER
        case ApprovalEscalated():
            return MessageKind.ESCALATED
        case ApprovalGranted(resolves=False) if asks_anew(event, approval):
            return MessageKind.STAGE_BEGAN
        case DecisionRetracted() if _went_back(event, approval):
            return MessageKind.STAGE_BEGAN
    return None


def _went_back(event: DecisionRetracted, approval: Approval) -> bool:
    """Whether an earlier stage is asked again, because a decision of it was taken back."""
    with_it = replace(
        approval,
        decisions=tuple(
            replace(each, retracted_version=0) if each.version == event.decision_version else each
            for each in approval.decisions
        ),
    )
    return quorum.current_stage(with_it) != quorum.current_stage(approval)


def _too_few(approval: Approval, known: int) -> bool:
    stage = quorum.current_stage(approval)
    return known < sum(r.count for r in quorum.outstanding(approval) if r.stage == stage)


def _asking(execution: Execution, approval: Approval) -> list[str]:
    """Return who wants the answer: who asked, who started the execution, and for whom."""
    ids = [approval.requested_by.id, execution.initiator.id]
    return ids if execution.on_behalf_of is None else [*ids, execution.on_behalf_of]


def _decided(approval: Approval) -> list[str]:
    return [each.by.id for each in approval.decisions if each.stands]


def _granted(approval: Approval) -> list[str]:
    return [each.by.id for each in approval.counting_decisions if each.verdict is Verdict.GRANTED]


def _taking_part(approval: Approval) -> list[str]:
    ids = [*_decided(approval), *(each.by for each in approval.comments)]
    ids += [each.by.id for each in approval.delegations if each.stands]
    ids += [each.to.id for each in approval.delegations if each.stands]
    return ids if approval.claimed_by is None else [*ids, approval.claimed_by.id]
