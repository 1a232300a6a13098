"""What groups are told: that they are asked, reminded, and what became of it."""

from collections.abc import Collection, Sequence

from application.event_store.chained_events import LoggedEvent
from application.event_store.reader import Reader
from application.notifications.message import ASKS, MessageKind, NewMessage
from domain.approvals import quorum
from domain.approvals.events import (
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalWithdrawn,
    Decided,
)
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.event import Event
from domain.names import normal_set
from domain.standing_grants.matching import asks_anew

GROUP_CHANNEL = "apprise-groups"
_RECIPIENT = "group:"


def recipient_of(group: str) -> str:
    """Return the recipient of a group's messages. The name is in its normal form."""
    return f"{_RECIPIENT}{group}"


def group_of(recipient: str) -> str:
    """Return the name of the group that is a recipient."""
    return recipient.removeprefix(_RECIPIENT)


class GroupSource:
    """Makes the messages of groups, as an ``application.notifications.source.MessageSource``.

    ``groups`` are the names of those that can be told, in their normal form.
    """

    def __init__(self, groups: Collection[str], reader: Reader) -> None:
        self._groups = groups
        self._reader = reader

    def concerns(self, event: LoggedEvent) -> bool:
        """Whether groups may be told of the event."""
        return isinstance(
            event.recorded.event,
            ApprovalRequested
            | ApprovalReminded
            | ApprovalEscalated
            | ApprovalExpired
            | ApprovalWithdrawn
            | ApprovalRevoked
            | Decided,
        )

    async def messages(self, event: LoggedEvent) -> Sequence[NewMessage]:
        """Return a message for each group that is told of the event.

        Raises psycopg errors or PoolTimeout, and one of DAMAGE if the execution can't be read.
        """
        recorded = event.recorded
        ordinal: int = getattr(recorded.event, "ordinal")  # noqa: B009 - concerns() says it has one
        approval = (await self._reader.after(event)).approvals[ordinal]
        kind = _kind(recorded.event, approval)
        if kind is None:
            return ()
        told = _asked(approval) if kind in ASKS else _ever_asked(approval)
        return [
            NewMessage(
                kind=kind,
                recipient=recipient_of(group),
                channel=GROUP_CHANNEL,
                execution_id=recorded.execution_id,
                version=recorded.version,
                position=event.position,
                ordinal=ordinal,
            )
            for group in sorted(told.intersection(self._groups))
        ]


def why_not(kind: MessageKind, group: str, approval: Approval) -> str | None:
    """Return why a group is not told any more, or None."""
    if kind in ASKS:
        if not approval.pending:
            return "the approval is resolved"
        if group not in _asked(approval):
            return "the group is not asked any more"
    if kind is MessageKind.RESOLVED and approval.status is ApprovalStatus.REVOKED:
        return "the grant was revoked meanwhile"
    return None


def _kind(event: Event, approval: Approval) -> MessageKind | None:
    match event:
        case ApprovalRequested():
            return MessageKind.OPENED
        case ApprovalReminded():
            return MessageKind.REMINDER
        case ApprovalEscalated():
            return MessageKind.ESCALATED
        case ApprovalGranted(resolves=False) if asks_anew(event, approval):
            return MessageKind.STAGE_BEGAN
        case ApprovalExpired() | ApprovalWithdrawn() | Decided(resolves=True):
            return MessageKind.RESOLVED
        case ApprovalRevoked():
            return MessageKind.REVOKED
    return None


def _asked(approval: Approval) -> frozenset[str]:
    """Return the groups whose members can decide now."""
    stage = quorum.current_stage(approval)
    named = {g for r in approval.policy.requirements if r.stage == stage for g in r.groups}
    return normal_set(named.union(approval.escalated_to))


def _ever_asked(approval: Approval) -> frozenset[str]:
    """Return the groups whose members were asked so far."""
    stage = quorum.current_stage(approval)
    named = {g for r in approval.policy.requirements if r.stage <= stage for g in r.groups}
    return normal_set(named.union(approval.escalated_to))
