"""The decisions on approvals in memory: verdicts, amendments and delegations."""

from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from placet._util.canonical_json import digest
from placet._util.serde import plain
from placet._util.service_rules import json_problem
from placet.errors import NotEligible
from placet.models.enums import ApprovalStatus, ResolutionCause, Verdict
from placet.models.responses import (
    Actor,
    Amendment,
    ApprovalPolicy,
    ApprovalRecord,
    Decision,
)
from placet.models.rules import MAX_CHAIN, RESOLVED_BY
from placet.testing.in_memory_approvals import InMemoryApprovals
from placet.testing.in_memory_forms import check_answers
from placet.testing.in_memory_log import refuse
from placet.testing.in_memory_rules import check_comment

_STATUS = {
    Verdict.GRANTED: ApprovalStatus.GRANTED,
    Verdict.REJECTED: ApprovalStatus.REJECTED,
    Verdict.CHANGES_REQUESTED: ApprovalStatus.CHANGES_REQUESTED,
}


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How a person has logged in: the strengths of the login, and how long ago it was."""

    acr: tuple[str, ...] = ()
    age: timedelta = timedelta(0)


class InMemoryDecisions:
    """Decides approvals, takes decisions back and hands them over, and appends it to the log."""

    def __init__(self, approvals: InMemoryApprovals) -> None:
        self._approvals = approvals
        self._log = approvals.log
        self._delegates: dict[tuple[str, str], str] = {}

    def decide(
        self,
        approval: ApprovalRecord,
        by: str,
        comment: str | None,
        verdict: Verdict,
        *,
        answers: Any = None,
        resolves: bool = True,
        amended_payload: Any = None,
        standing_grant_id: str | None = None,
        login: Login | None = None,
    ) -> None:
        """Add a decision.

        Raises AlreadyDecided, InvalidInput, NotEligible (four eyes), and StepUpRequired.
        """
        check_comment(comment)
        needed = verdict is not Verdict.GRANTED or approval.policy.comment_required
        if needed and not (comment or "").strip():
            refuse("INVALID_INPUT", "comment must not be empty: a rejection says why")
        if by == approval.initiator.id and not approval.policy.allow_initiator:
            raise NotEligible("NOT_ELIGIBLE", f"{by} started the execution, so another must decide")
        pending = self._approvals.find_pending(approval.id)
        if any(each.by.id == by and each.counts for each in pending.decisions):
            refuse("ALREADY_DECIDED", f"{by} already decided approval {pending.key!r}")
        if to := self._delegates.get((approval.id, by)):
            raise NotEligible("NOT_ELIGIBLE", f"{by} handed the decision to {to}")
        _check_login(pending.policy, login)
        before = self._came_from(approval.id, by)
        stood_in_for = before[-1] if before else None
        if verdict is Verdict.GRANTED:
            check_answers(pending.form, answers)
        if amended_payload is not None:
            pending = self._amended(pending, by, plain(amended_payload, "amended_payload"))
        decision = Decision(
            verdict=verdict,
            by=Actor(id=by),
            on_behalf_of=None if stood_in_for is None else Actor(id=stood_in_for),
            at=self._log.now,
            comment=comment,
            answers=answers,
            digest=pending.digest,
            rule="trial",
            standing_grant_id=standing_grant_id,
        )
        decided = replace(pending, decisions=[*pending.decisions, decision])
        if resolves:
            self._approvals.resolve(decided, _STATUS[verdict], ResolutionCause.DECISIONS)
        else:
            event = RESOLVED_BY[_STATUS[verdict]]
            self._log.append(event, ordinal=self._approvals.put(decided), resolves=False)

    def _amended(self, approval: ApprovalRecord, by: str, payload: Any) -> ApprovalRecord:
        """Change the payload. Raises InvalidInput."""
        if problem := json_problem(payload, "amendedPayload"):
            refuse("INVALID_INPUT", problem)
        if not approval.policy.amendable:
            refuse("INVALID_INPUT", f"the policy of approval {approval.key!r} is not amendable")
        if digest(payload) == approval.payload_digest:
            refuse("INVALID_INPUT", "amendedPayload changes nothing")
        document = {**approval.document, "payload": payload}
        # The service records the single changes. This is the same by another patch.
        patch = [{"op": "replace", "path": "", "value": payload}]
        amendment = Amendment(
            by=Actor(id=by), at=self._log.now, patch=patch, payload_digest=digest(payload)
        )
        amended = replace(
            approval,
            payload=payload,
            payload_digest=amendment.payload_digest,
            document=document,
            digest=digest(document),
            amendments=[*approval.amendments, amendment],
            decisions=[
                replace(each, counts=False) if each.verdict is Verdict.GRANTED else each
                for each in approval.decisions
            ],
        )
        self._log.append(
            "ApprovalAmended",
            ordinal=self._approvals.put(amended),
            seenDigest=approval.digest,
            digest=amended.digest,
            payloadDigest=amended.payload_digest,
            payload=payload,
            patch=patch,
        )
        return amended

    def retract(self, approval: ApprovalRecord, by: str) -> None:
        """Take back a person's decision. Raises AlreadyDecided and InvalidTransition."""
        pending = self._approvals.find_pending(approval.id)
        own = [each for each in pending.decisions if each.by.id == by]
        if not own:
            refuse("INVALID_TRANSITION", f"{by} has not decided approval {pending.key!r}")
        if own[-1].retracted_at is not None:
            return
        taken = replace(own[-1], counts=False, retracted_at=self._log.now)
        decisions = [taken if each is own[-1] else each for each in pending.decisions]
        self._log.append(
            "DecisionRetracted", ordinal=self._approvals.put(replace(pending, decisions=decisions))
        )

    def delegate(self, approval: ApprovalRecord, to: str, by: str) -> None:
        """Hand a person's decision to another. Raises AlreadyDecided and InvalidInput."""
        pending = self._approvals.find_pending(approval.id)
        if any(each.by.id == by and each.counts for each in pending.decisions):
            refuse("ALREADY_DECIDED", f"{by} already decided approval {pending.key!r}")
        if self._delegates.get((approval.id, by)) == to:
            return
        if (approval.id, by) in self._delegates:
            refuse("INVALID_TRANSITION", f"{by} handed the decision to somebody already")
        if to == by:
            refuse("INVALID_INPUT", "to names the person who delegates: name somebody else")
        if by in self._passed_on(approval.id, to):
            refuse("INVALID_INPUT", f"to names {to}, from whom the decision came")
        if len(self._came_from(approval.id, by)) >= MAX_CHAIN:
            refuse("INVALID_INPUT", f"the decision was passed on {MAX_CHAIN} times already")
        if any(each.by.id == to and each.counts for each in pending.decisions):
            refuse("INVALID_INPUT", f"to names {to}, who has already decided")
        if to == approval.initiator.id and not approval.policy.allow_initiator:
            refuse("INVALID_INPUT", f"to names {to}, who may not decide: four eyes")
        self._delegates[approval.id, by] = to
        self._log.append("ApprovalDelegated", ordinal=self._approvals.ordinal(pending), to=to)

    def _passed_on(self, approval_id: str, person: str) -> list[str]:
        """Return to whom a person handed the decision, to whom that person did, and so on."""
        found: list[str] = []
        while to := self._delegates.get((approval_id, person)):
            found.append(to)
            person = to
        return found

    def _came_from(self, approval_id: str, person: str) -> list[str]:
        """Return who handed the decision to a person, who to that person, and so on."""
        found: list[str] = []
        while by := self._handed_to(approval_id, person):
            found.append(by)
            person = by
        return found

    def _handed_to(self, approval_id: str, person: str) -> str | None:
        places = self._delegates.items()
        return next((by for (id_, by), to in places if (id_, to) == (approval_id, person)), None)

    def take_back_delegation(self, approval: ApprovalRecord, by: str) -> None:
        """Take a person's delegation back. Raises AlreadyDecided and InvalidTransition."""
        pending = self._approvals.find_pending(approval.id)
        to = self._delegates.get((approval.id, by))
        if to is None:
            refuse("INVALID_TRANSITION", f"{by} has not handed the decision to anybody")
        # With it ends all that passed it on.
        passed_on = self._passed_on(approval.id, by)
        for person in passed_on:
            if any(each.by.id == person and each.counts for each in pending.decisions):
                refuse("ALREADY_DECIDED", f"{person} already decided in the place of {by}")
        for person in (by, *passed_on):
            self._delegates.pop((approval.id, person), None)
        self._log.append("DelegationTakenBack", ordinal=self._approvals.ordinal(pending))


def _check_login(policy: ApprovalPolicy, login: Login | None) -> None:
    """Raise StepUpRequired if the policy asks for another login. None is that of an API key."""
    if policy.acr_values and not set(() if login is None else login.acr) & set(policy.acr_values):
        wanted = ", ".join(policy.acr_values)
        refuse("STEP_UP_REQUIRED", f"the policy asks for a login with one of {wanted}")
    oldest = policy.max_auth_age
    if oldest is not None and (login is None or login.age > oldest):
        refuse("STEP_UP_REQUIRED", f"the policy asks for a login in the last {oldest}")
