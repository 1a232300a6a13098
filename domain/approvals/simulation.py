"""What another policy would have made of the decisions that were recorded about an approval."""

from typing import NamedTuple

from msgspec.structs import replace

from domain.approvals import eligibility, quorum, step_up
from domain.approvals.amendment import superseded
from domain.approvals.four_eyes import four_eyes
from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.state import (
    Amendment,
    Approval,
    ApprovalStatus,
    Decision,
    ResolutionCause,
    Verdict,
)
from domain.execution.state import Execution
from domain.values import Absence, Principal, Role


class Simulated(NamedTuple):
    """The status with the other policy, and why."""

    status: ApprovalStatus
    reason: str


def simulate(execution: Execution, approval: Approval, policy: Policy) -> Simulated:
    """Decide a resolved approval again, by the same decisions in their order.

    The policy that was in force gives the status that the approval has. A decision that was taken
    back resolves nothing, but until then it counts, as for the stage that is asked. A decision
    counts only if the policy lets its person decide at that point, by the groups that are recorded;
    a grant only if it is of the document that stands at that point, with the amendments that this
    policy allows. What was not decided ends as it did: by its deadline, or withdrawn.
    """
    asked = replace(
        approval,
        policy=policy,
        status=ApprovalStatus.PENDING,
        resolution=None,
        digest=approval.amendments[0].seen_digest if approval.amendments else approval.digest,
        decisions=(),
        delegations=(),
        escalated_to=_escalated(approval, policy),
    )
    skipped: list[str] = []
    for decision in approval.decisions:
        asked = _without_taken_back(asked, approval, decision.version)
        objection = _objection(execution, asked, decision, approval.amendment_with(decision))
        if objection is not None:
            if decision.stands:
                skipped.append(objection)
            continue
        stage = quorum.current_stage(asked)
        if decision.amendment_version:
            asked = replace(
                asked,
                digest=decision.digest,
                decisions=superseded(asked.decisions, decision.amendment_version),
            )
        counted = replace(decision, stage=stage, superseded_version=0, retracted_version=0)
        if decision.stands and (status := quorum.outcome(asked, counted)):
            return _decided(approval, status, skipped)
        asked = replace(asked, decisions=(*asked.decisions, counted))
    return _undecided(approval, policy, skipped)


def _without_taken_back(asked: Approval, approval: Approval, version: int) -> Approval:
    """Leave out the decisions that were taken back before this version."""
    gone = {d.version for d in approval.decisions if 0 < d.retracted_version < version}
    if not gone:
        return asked
    return replace(asked, decisions=tuple(d for d in asked.decisions if d.version not in gone))


def _objection(
    execution: Execution, asked: Approval, decision: Decision, amendment: Amendment | None
) -> str | None:
    """Return why the decision does not count with the policy that is asked, or None."""
    person, policy = decision.by.id, asked.policy
    if asked.decision_that_bars(person) is not None:
        return f"{person} had decided already"
    by_escalation = decision.version > asked.escalated_version > 0
    seen = asked if by_escalation else replace(asked, escalated_to=())
    if objection := next(eligibility.objections(_person(decision), execution, seen), None):
        unknown = "" if decision.all_groups_known else "; not all of their groups are known"
        return f"{person}: {objection}{unknown}"
    if policy.asks_for_login and (flaw := _login_flaw(policy, decision)):
        return f"{person}: {flaw}"
    if (too_close := next(four_eyes(person, execution, asked), None)) is not None:
        return f"{person}: {too_close}"
    if decision.verdict is not Verdict.GRANTED:
        return None
    if policy.comment_required and not decision.comment:
        return f"{person} gave no comment"
    if amendment is not None and not policy.amendable:
        return f"{person} amended the payload, which the policy does not allow"
    if asked.digest != (decision.digest if amendment is None else amendment.seen_digest):
        return f"{person} granted what a decision that is left out had amended"
    return None


def _login_flaw(policy: Policy, decision: Decision) -> str | None:
    """Return why the login does not meet the policy. It is recorded only if one was asked for."""
    if decision.acr is None and decision.auth_time is None:
        return "how this person had logged in was not asked for, so it is not known"
    return step_up.login_flaw(policy, decision.acr, decision.auth_time, decision.at)


def _person(decision: Decision) -> Principal:
    """Return whoever is asked whether the decision counts, with the groups that are recorded."""
    place, groups = decision.on_behalf_of or decision.by, frozenset(decision.groups)
    roles = frozenset({Role.APPROVER})
    if decision.substitution is None:
        return Principal(id=place.id, name=place.name or place.id, roles=roles, groups=groups)
    absence = Absence(
        id=place.id,
        name=place.name,
        groups=groups,
        only_groups=decision.substitution.only_groups,
        number=decision.substitution.number,
    )
    by = decision.by
    return Principal(id=by.id, name=by.name or by.id, roles=roles, stands_in_for=(absence,))


def _escalated(approval: Approval, policy: Policy) -> tuple[str, ...]:
    """Those it was escalated to may decide as well, if the policy escalates to them too."""
    if policy.on_expiry is not ExpiryAction.ESCALATE:
        return ()
    return tuple(group for group in approval.escalated_to if group in policy.escalate_to)


def _decided(approval: Approval, status: ApprovalStatus, skipped: list[str]) -> Simulated:
    return Simulated(_or_revoked(approval, status), _said("the decisions meet the policy", skipped))


def _or_revoked(approval: Approval, status: ApprovalStatus) -> ApprovalStatus:
    """Return the status that a grant has after it was revoked, if it was."""
    revoked = approval.status is ApprovalStatus.REVOKED and status is ApprovalStatus.GRANTED
    return ApprovalStatus.REVOKED if revoked else status


def _undecided(approval: Approval, policy: Policy, skipped: list[str]) -> Simulated:
    if approval.status is ApprovalStatus.WITHDRAWN:
        return Simulated(ApprovalStatus.WITHDRAWN, _said("it was withdrawn", skipped))
    if approval.resolution is ResolutionCause.EXPIRY or approval.expiry_grant is not None:
        passed = "its deadline passed"
        if policy.on_expiry is not ExpiryAction.GRANT:
            return Simulated(ApprovalStatus.EXPIRED, _said(passed, skipped))
        if approval.form is not None:
            # Such a request is refused: nobody would have answered the form.
            reason = f"{passed}, and with a form onExpiry GRANT is not allowed"
            return Simulated(ApprovalStatus.EXPIRED, _said(reason, skipped))
        granted = _or_revoked(approval, ApprovalStatus.GRANTED)
        return Simulated(granted, _said(passed, skipped))
    return Simulated(ApprovalStatus.PENDING, _said("the decisions do not meet the policy", skipped))


def _said(reason: str, skipped: list[str]) -> str:
    return reason if not skipped else f"{reason}; left out: {'; '.join(skipped)}"
