"""The approvals of one execution in memory, kept by the rules of the service."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from placet._util.canonical_json import digest
from placet.models.commands import RedeemApproval, RequestApproval, WithdrawApproval
from placet.models.enums import ApprovalStatus, ExpiryAction, ResolutionCause
from placet.models.responses import (
    ApprovalPolicy,
    ApprovalRecord,
    Execution,
    Requirement,
)
from placet.models.rules import RESOLVED_BY
from placet.policy import Policy
from placet.testing.in_memory_log import InMemoryLog, refuse
from placet.testing.in_memory_policies import reminders_problem, unmeetable

Calendar = Callable[[datetime, timedelta], datetime]
"""Returns when a span of working time is over that begins at a moment."""


class InMemoryApprovals:
    """Requests, withdraws, expires, revokes and redeems approvals, and appends it to the log.

    ``calendars``: see ``Trial``.
    """

    def __init__(
        self, execution: Execution, log: InMemoryLog, calendars: Mapping[str, Calendar]
    ) -> None:
        self.all: list[ApprovalRecord] = []
        self._execution = execution
        self.log = log
        self._calendars = calendars
        self._redeemed: dict[str, str] = {}
        self._escalated: set[str] = set()
        # What was asked, by the id of the approval: an amendment changes the document.
        self._asked: dict[str, Any] = {}

    def pending(self) -> list[ApprovalRecord]:
        """Return the approvals that are not resolved."""
        return [each for each in self.all if each.status is ApprovalStatus.PENDING]

    def request(self, command: RequestApproval) -> tuple[ApprovalRecord, bool]:
        """Carry out a request. Returns the approval, and whether it is a repeat. Raises Refused."""
        rounds = [each for each in self.all if each.key == command.key]
        document = {
            "title": command.title,
            "description": command.description,
            "payload": command.payload,
            "form": command.form,
            "policy": msgspec.to_builtins(command.policy),
        }
        if rounds:
            same = next((a for a in reversed(rounds) if self._asked[a.id] == document), None)
            if same is not None:
                return same, True
            last = rounds[-1]
            invites = {ApprovalStatus.CHANGES_REQUESTED, ApprovalStatus.REVOKED}
            if last.status not in invites and not last.lapsed(self.log.now):
                refuse("KEY_REUSED", f"approval {command.key!r} was requested with other content")
        if problem := unmeetable(command.policy):
            refuse("INVALID_INPUT", problem)
        policy = _policy(command.policy)
        deadline = command.deadline
        if policy.calendar is not None and policy.calendar not in self._calendars:
            known = ", ".join(self._calendars) or "none"
            refuse(
                "INVALID_INPUT",
                f"policy.calendar names {policy.calendar!r}; the trial has: {known}",
            )
        if policy.within is not None:
            deadline = self._later(self.log.now, policy)
        if deadline is not None and deadline <= self.log.now:
            moment = deadline.isoformat()
            refuse("INVALID_INPUT", f"deadline {moment} is in the past: give a later one")
        if problem := reminders_problem(command.policy, deadline, self.log.now):
            refuse("INVALID_INPUT", problem)
        approval = ApprovalRecord(
            id=f"{self._execution.id}.{len(self.all) + 1}",
            execution_id=self._execution.id,
            workflow=self._execution.workflow,
            initiator=self._execution.initiator,
            key=command.key,
            round=len(rounds) + 1,
            title=command.title,
            description=command.description,
            payload=command.payload,
            payload_digest=digest(command.payload),
            document=document,
            digest=digest(document),
            form=command.form,
            erased=False,
            policy=policy,
            status=ApprovalStatus.PENDING,
            decisions=[],
            outstanding=policy.requirements,
            requested_at=self.log.now,
            deadline=deadline,
        )
        self.all.append(approval)
        self._asked[approval.id] = document
        self.log.append(
            "ApprovalRequested",
            key=command.key,
            payloadDigest=approval.payload_digest,
            ordinal=len(self.all),
            round=approval.round,
            policy=msgspec.to_builtins(command.policy),
            deadline=None if deadline is None else deadline.isoformat(),
        )
        return approval, False

    def revoke(self, approval: ApprovalRecord, reason: str) -> None:
        """Take back a grant that was not redeemed. Raises Refused."""
        granted = self.find(approval.id)
        if not reason.strip():
            refuse("INVALID_INPUT", "reason must not be empty")
        if granted.status is ApprovalStatus.REVOKED:
            return
        if granted.id in self._redeemed:
            refuse("ALREADY_REDEEMED", f"approval {granted.key!r} was redeemed")
        if granted.status is not ApprovalStatus.GRANTED:
            refuse("INVALID_TRANSITION", f"approval {granted.key!r} is {granted.status}")
        self.resolve(granted, ApprovalStatus.REVOKED, ResolutionCause.REVOCATION)

    def act_on_deadlines(self) -> None:
        """Do what is due now."""
        for approval in self.pending():
            if approval.deadline is not None and approval.deadline <= self.log.now:
                self.expire(approval)

    def expire(self, approval: ApprovalRecord) -> None:
        """Let the deadline of an approval pass. Raises AlreadyDecided."""
        pending = self.find_pending(approval.id)
        action = pending.policy.on_expiry
        if action is ExpiryAction.ESCALATE and pending.id not in self._escalated:
            assert pending.deadline is not None
            self._escalated.add(pending.id)
            if pending.policy.within is None:
                moved = pending.deadline + (pending.deadline - pending.requested_at)
            else:
                moved = self._later(pending.deadline, pending.policy)
            ordinal = self.put(replace(pending, deadline=moved))
            self.log.append("ApprovalEscalated", ordinal=ordinal, groups=pending.policy.escalate_to)
            return
        granted = action is ExpiryAction.GRANT
        status = ApprovalStatus.GRANTED if granted else ApprovalStatus.EXPIRED
        self.resolve(pending, status, ResolutionCause.EXPIRY, "ApprovalExpired")

    def withdraw(self, command: WithdrawApproval) -> None:
        """Carry out a withdrawal. Raises AlreadyDecided."""
        pending = self.find_pending(command.approval_id)
        self.resolve(pending, ApprovalStatus.WITHDRAWN, ResolutionCause.WITHDRAWAL)

    def redeem(self, command: RedeemApproval) -> bool:
        """Carry out a redemption. Returns whether it is a repeat. Raises Refused."""
        approval = self.find(command.approval_id)
        used = self._redeemed.get(approval.id)
        if used is not None and used != command.redemption_key:
            refuse("ALREADY_REDEEMED", f"it was redeemed under the key {used!r}")
        if approval.status is not ApprovalStatus.GRANTED:
            refuse("INVALID_TRANSITION", f"approval {approval.key!r} is {approval.status}")
        if used is None and approval.lapsed(self.log.now):
            refuse("LAPSED", f"the grant of approval {approval.key!r} has lapsed")
        if command.payload_digest != approval.payload_digest:
            refuse("DIGEST_MISMATCH", "the payload is not the one that was granted")
        if used is None:
            self._redeemed[approval.id] = command.redemption_key
            self.log.append(
                "ApprovalRedeemed",
                ordinal=self.ordinal(approval),
                redemptionKey=command.redemption_key,
            )
        return used is not None

    def find(self, approval_id: str) -> ApprovalRecord:
        """Return an approval as it is now. Raises LookupError."""
        found = next((each for each in self.all if each.id == approval_id), None)
        if found is None:
            msg = f"approval {approval_id!r} is not one of this trial"
            raise LookupError(msg)
        return found

    def _later(self, begin: datetime, policy: ApprovalPolicy) -> datetime:
        """Return when the time of a policy is over that begins at a moment."""
        assert policy.within is not None
        if policy.calendar is None:
            return begin + policy.within
        return self._calendars[policy.calendar](begin, policy.within)

    def find_pending(self, approval_id: str) -> ApprovalRecord:
        """Return an approval that is not resolved. Raises AlreadyDecided and LookupError."""
        found = self.find(approval_id)
        if found.status is not ApprovalStatus.PENDING:
            refuse("ALREADY_DECIDED", f"approval {found.key!r} is {found.status}")
        return found

    def ordinal(self, approval: ApprovalRecord) -> int:
        """Return the number of an approval in its execution."""
        return self.all.index(self.find(approval.id)) + 1

    def put(self, changed: ApprovalRecord) -> int:
        """Keep an approval as it is now, and return its ordinal."""
        ordinal = self.ordinal(changed)
        self.all[ordinal - 1] = changed
        return ordinal

    def resolve(
        self,
        approval: ApprovalRecord,
        status: ApprovalStatus,
        cause: ResolutionCause,
        event: str | None = None,
    ) -> None:
        """Resolve an approval. ``event``: by default the usual one of the status."""
        resolved = replace(
            approval,
            status=status,
            resolution=cause,
            resolved_at=self.log.now,
            outstanding=[],
        )
        self.log.append(event or RESOLVED_BY[status], resolved, ordinal=self.put(resolved))


def _policy(policy: Policy) -> ApprovalPolicy:
    return ApprovalPolicy(
        requirements=[
            Requirement(
                count=each.count,
                groups=list(each.groups),
                users=list(each.users),
                stage=each.stage,
            )
            for each in policy.requirements
        ],
        rejections=policy.rejections_needed,
        allow_initiator=policy.initiator_allowed,
        on_expiry=ExpiryAction(policy.on_expiry),
        escalate_to=list(policy.escalate_to),
        within=policy.within,
        calendar=policy.calendar,
        remind_before=sorted(set(policy.remind_before), reverse=True),
        valid_for=policy.valid_for,
        amendable=policy.amendable,
        comment_required=policy.comment_required,
        acr_values=list(policy.acr_values),
        max_auth_age=policy.max_auth_age,
    )
