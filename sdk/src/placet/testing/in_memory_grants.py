"""Standing grants in memory: what a test allows in advance."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from placet.errors import Refused
from placet.models.enums import Verdict
from placet.models.responses import ApprovalRecord
from placet.testing.in_memory_decisions import InMemoryDecisions


@dataclass(kw_only=True)
class InMemoryGrant:
    """What a person allows in a trial. ``uses`` says how often it was used."""

    id: str
    by: str
    key: str | None
    covers: Callable[[Any], bool]
    max_uses: int
    expires_at: datetime
    uses: int = 0
    revoked: bool = False

    def revoke(self) -> None:
        """End it at once."""
        self.revoked = True

    def allows(self, approval: ApprovalRecord, now: datetime) -> bool:
        """Whether it decides an approval that is asked now."""
        if self.revoked or self.uses >= self.max_uses or now >= self.expires_at:
            return False
        policy = approval.policy
        if self.key not in {None, approval.key} or policy.comment_required:
            return False
        if policy.acr_values or policy.max_auth_age is not None:
            return False
        return approval.form is None and self.covers(approval.payload)


class InMemoryGrants:
    """The standing grants of a trial, in the order of their creation."""

    def __init__(self, decisions: InMemoryDecisions) -> None:
        self.all: list[InMemoryGrant] = []
        self._decisions = decisions
        # Those that there were when an approval was requested, by its id.
        self._earlier: dict[str, tuple[InMemoryGrant, ...]] = {}

    def decide(self, approval: ApprovalRecord, now: datetime) -> None:
        """Grant an approval that was requested or amended now, if that was allowed in advance."""
        for grant in self._earlier.setdefault(approval.id, tuple(self.all)):
            if not grant.allows(approval, now):
                continue
            try:
                self._decisions.decide(
                    approval, grant.by, None, Verdict.GRANTED, standing_grant_id=grant.id
                )
            except Refused:
                # Four eyes bars this person, so the approval waits for others.
                continue
            grant.uses += 1
            return
