"""What is said of approvals in memory: comments, and who is on it."""

from datetime import datetime, timedelta

from placet.models.responses import (
    Actor,
    ApprovalRecord,
    Comment,
)
from placet.testing.in_memory_approvals import InMemoryApprovals
from placet.testing.in_memory_log import refuse
from placet.testing.in_memory_rules import check_comment

_CLAIMED_FOR = timedelta(hours=1)


class InMemoryDiscussion:
    """Comments on approvals and claims them, and appends it to the log.

    ``comments``: by the id of the approval, the oldest first.
    """

    def __init__(self, approvals: InMemoryApprovals) -> None:
        self.comments: dict[str, list[Comment]] = {}
        self._approvals = approvals
        self._log = approvals.log
        self._claims: dict[str, tuple[str, datetime]] = {}

    def comment(self, approval: ApprovalRecord, by: str, text: str) -> None:
        """Add a comment."""
        check_comment(text)
        if not text.strip():
            refuse("INVALID_INPUT", "text must not be empty")
        comments = self.comments.setdefault(approval.id, [])
        comments.append(
            Comment(
                id=f"{approval.id}.{len(comments) + 1}",
                by=Actor(id=by),
                at=self._log.now,
                text=text,
            )
        )
        self._log.append("ApprovalCommented", ordinal=self._approvals.ordinal(approval), text=text)

    def claim(self, approval: ApprovalRecord, by: str) -> None:
        """Say that a person is on it. Raises AlreadyDecided."""
        if self.claimed_by(approval) != by:
            pending = self._approvals.find_pending(approval.id)
            self._claims[approval.id] = by, self._log.now
            self._log.append("ApprovalClaimed", ordinal=self._approvals.ordinal(pending))

    def unclaim(self, approval: ApprovalRecord, by: str) -> None:
        """End a person's claim."""
        if self.claimed_by(approval) == by:
            del self._claims[approval.id]
            self._log.append("ApprovalUnclaimed", ordinal=self._approvals.ordinal(approval))

    def claimed_by(self, approval: ApprovalRecord) -> str | None:
        """Return who said less than an hour ago that they are on it."""
        by, at = self._claims.get(approval.id, (None, self._log.now))
        return by if self._log.now < at + _CLAIMED_FOR else None
