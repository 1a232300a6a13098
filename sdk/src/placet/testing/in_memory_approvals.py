"""The approvals of one execution in memory, kept by the rules of the service."""

from typing import Any

import msgspec

from placet._util.canonical_json import digest
from placet.errors import NotEligible
from placet.models.commands import RedeemApproval, RequestApproval, WithdrawApproval
from placet.models.enums import ApprovalStatus, ExpiryAction, ResolutionCause, Verdict
from placet.models.responses import (
    Actor,
    ApprovalPolicy,
    ApprovalRecord,
    Decision,
    Execution,
    Requirement,
)
from placet.testing.in_memory_log import InMemoryLog, refuse
from placet.testing.in_memory_rules import check_comment


class InMemoryApprovals:
    """Requests, decides, withdraws, expires and redeems approvals, and appends it to the log."""

    def __init__(self, execution: Execution, log: InMemoryLog) -> None:
        self.all: list[ApprovalRecord] = []
        self._execution = execution
        self._log = log
        self._redeemed: dict[str, str] = {}

    def pending(self) -> list[ApprovalRecord]:
        """Return the approvals that are not resolved."""
        return [each for each in self.all if each.status is ApprovalStatus.PENDING]

    def request(self, command: RequestApproval) -> ApprovalRecord:
        """Carry out a request."""
        requirements = [
            Requirement(count=each.count, groups=list(each.groups), users=list(each.users))
            for each in command.policy.requirements
        ]
        document = {
            "title": command.title,
            "description": command.description,
            "payload": command.payload,
        }
        approval = ApprovalRecord(
            id=f"{self._execution.id}.{len(self.all) + 1}",
            execution_id=self._execution.id,
            workflow=self._execution.workflow,
            initiator=self._execution.initiator,
            key=command.key,
            round=1,
            title=command.title,
            description=command.description,
            payload=command.payload,
            payload_digest=digest(command.payload),
            document=document,
            digest=digest(document),
            erased=False,
            policy=ApprovalPolicy(
                requirements=requirements,
                rejections=command.policy.rejections_needed,
                allow_initiator=command.policy.initiator_allowed,
                on_expiry=ExpiryAction.REJECT,
                escalate_to=[],
            ),
            status=ApprovalStatus.PENDING,
            decisions=[],
            outstanding=requirements,
            requested_at=self._log.now,
        )
        self.all.append(approval)
        self._log.append(
            "ApprovalRequested",
            key=command.key,
            ordinal=len(self.all),
            round=1,
            policy=msgspec.to_builtins(command.policy),
        )
        return approval

    def decide(
        self, approval: ApprovalRecord, by: str, comment: str | None, *, granted: bool
    ) -> None:
        """Resolve an approval by a decision. Raises AlreadyDecided, and NotEligible (four eyes)."""
        check_comment(comment)
        if not granted and not (comment or "").strip():
            refuse("INVALID_INPUT", "comment must not be empty: a rejection says why")
        if by == approval.initiator.id and not approval.policy.allow_initiator:
            raise NotEligible("NOT_ELIGIBLE", f"{by} started the execution, so another must decide")
        decision = Decision(
            verdict=Verdict.GRANTED if granted else Verdict.REJECTED,
            by=Actor(id=by),
            at=self._log.now,
            comment=comment,
            digest=approval.digest,
            rule="trial",
        )
        self._resolve(
            self._pending(approval.id, approval.key),
            ApprovalStatus.GRANTED if granted else ApprovalStatus.REJECTED,
            ResolutionCause.DECISIONS,
            decisions=[*approval.decisions, decision],
        )

    def expire(self, approval: ApprovalRecord) -> None:
        """Resolve an approval by its deadline. Raises AlreadyDecided."""
        pending = self._pending(approval.id, approval.key)
        self._resolve(pending, ApprovalStatus.EXPIRED, ResolutionCause.EXPIRY)

    def withdraw(self, command: WithdrawApproval) -> None:
        """Carry out a withdrawal. Raises AlreadyDecided."""
        pending = self._pending(command.approval_id, command.approval_id)
        self._resolve(pending, ApprovalStatus.WITHDRAWN, ResolutionCause.WITHDRAWAL)

    def redeem(self, command: RedeemApproval) -> bool:
        """Carry out a redemption. Returns whether it is a repeat. Raises Refused."""
        approval = self._find(command.approval_id, command.approval_id)
        if approval.status is not ApprovalStatus.GRANTED:
            refuse("INVALID_TRANSITION", f"approval {approval.key!r} is {approval.status}")
        if command.payload_digest != approval.payload_digest:
            refuse("DIGEST_MISMATCH", "the payload is not the one that was granted")
        used = self._redeemed.get(approval.id)
        if used is not None and used != command.redemption_key:
            refuse("ALREADY_REDEEMED", f"it was redeemed under the key {used!r}")
        if used is None:
            self._redeemed[approval.id] = command.redemption_key
            ordinal = self.all.index(approval) + 1
            self._log.append(
                "ApprovalRedeemed", ordinal=ordinal, redemptionKey=command.redemption_key
            )
        return used is not None

    def _find(self, approval_id: str, name: str) -> ApprovalRecord:
        found = next((each for each in self.all if each.id == approval_id), None)
        if found is None:
            msg = f"approval {name!r} is not one of this trial"
            raise LookupError(msg)
        return found

    def _pending(self, approval_id: str, name: str) -> ApprovalRecord:
        found = self._find(approval_id, name)
        if found.status is not ApprovalStatus.PENDING:
            refuse("ALREADY_DECIDED", f"approval {found.key!r} is {found.status}")
        return found

    def _resolve(
        self,
        approval: ApprovalRecord,
        status: ApprovalStatus,
        cause: ResolutionCause,
        **changes: Any,
    ) -> None:
        resolved = msgspec.structs.replace(
            approval,
            status=status,
            resolution=cause,
            resolved_at=self._log.now,
            outstanding=[],
            **changes,
        )
        index = self.all.index(approval)
        self.all[index] = resolved
        self._log.append(f"Approval{status.title()}", resolved, ordinal=index + 1)
