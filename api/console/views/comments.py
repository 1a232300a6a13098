"""The comments on an approval. Their texts are in the log."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from api.console.views.approvals import name_of
from application.event_store.chained_events import LoggedEvent
from domain.approvals.events import ApprovalCommented
from domain.approvals.state import Approval

SHOWN = 50


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote."""

    by: str
    at: datetime
    text: str


class CommentPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some comments, the oldest first. ``earlier``: those before this version are left out."""

    comments: list[Comment]
    total: int
    earlier: int | None
    latest: bool


def versions_of(approval: Approval, before: int | None) -> list[int]:
    """Return the versions of the last comments before a version; the latest if there is none."""
    marks = [mark.version for mark in approval.comments if before is None or mark.version < before]
    return marks[-SHOWN:]


def comment_page(
    approval: Approval, events: Iterable[LoggedEvent], before: int | None
) -> CommentPage:
    """Return the comments of these events."""
    comments, first = [], None
    for event in events:
        recorded = event.recorded
        assert isinstance(recorded.event, ApprovalCommented)
        first = first or recorded.version
        comments.append(
            Comment(
                by=name_of(recorded.actor),
                at=recorded.at,
                text=recorded.event.content.text or "",
            )
        )
    left_out = bool(comments) and approval.comments[0].version != first
    return CommentPage(
        comments=comments,
        total=len(approval.comments),
        earlier=first if left_out else None,
        latest=before is None,
    )
