"""How long a decision took counts from when the person could decide."""

from datetime import timedelta

from domain.approvals.asking import asked_at
from domain.approvals.policy import ExpiryAction
from tests.domain.ask import (
    act_on_deadline,
    delegate,
    grant,
    needs,
    policy,
    request,
    retract,
    revoke,
    start,
)
from tests.domain.scenario import Given, given

HOUR = timedelta(hours=1)


def test_a_person_of_the_first_stage_is_asked_at_the_request() -> None:
    history = given().when(start()).when(request()).after(HOUR).when(grant("ann"))
    approval = history.approval(1)
    assert asked_at(approval, approval.decisions[0]) == approval.requested_at


def test_a_person_of_a_later_stage_is_asked_when_the_stage_before_is_complete() -> None:
    stages = policy(needs("finance", count=2), needs("legal", stage=2))
    history: Given = given().when(start()).when(request(policy=stages))
    history = history.when(grant("ann")).after(HOUR).when(retract("ann")).after(HOUR)
    history = history.when(grant("bob")).after(HOUR).when(grant("ann")).after(HOUR)
    history = history.when(grant("cleo"))
    approval = history.approval(1)
    [_, bob, ann, cleo] = approval.decisions
    assert asked_at(approval, bob) == approval.requested_at
    assert asked_at(approval, cleo) == ann.at


def test_a_delegate_is_asked_when_the_decision_is_handed_over() -> None:
    history = given().when(start()).when(request()).after(HOUR)
    history = history.when(delegate("stranger", by="bob")).after(HOUR).when(grant("stranger"))
    approval = history.approval(1)
    [decision] = approval.decisions
    assert decision.on_behalf_of is not None
    assert asked_at(approval, decision) == approval.delegations[0].at


def test_whom_an_escalation_asks_is_asked_from_then_on() -> None:
    escalating = policy(
        needs("finance"),
        within=HOUR,
        on_expiry=ExpiryAction.ESCALATE,
        escalate_to=("legal",),
    )
    history = given().when(start()).when(request(policy=escalating)).after(HOUR)
    history = history.when(act_on_deadline()).after(timedelta(minutes=5)).when(grant("cleo"))
    approval = history.approval(1)
    [decision] = approval.decisions
    assert decision.rule == "escalation:legal"
    assert asked_at(approval, decision) == approval.escalated_at


def test_who_granted_is_asked_anew_by_an_amendment() -> None:
    two = policy(needs("finance", count=2), amendable=True)
    history = given().when(start()).when(request(policy=two)).when(grant("ann"))
    history = history.after(HOUR).when(grant("bob", amended_payload=1))
    history = history.after(HOUR).when(grant("ann"))
    approval = history.approval(1)
    first, bob, second = approval.decisions
    [amendment] = approval.amendments
    assert asked_at(approval, second) == amendment.at
    assert asked_at(approval, first) == asked_at(approval, bob) == approval.requested_at


def test_a_revoked_grant_stays_known() -> None:
    history = given().when(start()).when(request()).when(grant("ann"))
    granted = history.approval(1)
    revoked = history.after(HOUR).when(revoke("ann")).approval(1)
    assert revoked.resolved_at != granted.resolved_at
    assert revoked.pending_until == granted.pending_until == granted.resolved_at
    assert revoked.expiry_grant is None


def test_a_grant_at_the_deadline_stays_known_after_it_is_revoked() -> None:
    granting = policy(needs("finance"), within=HOUR, on_expiry=ExpiryAction.GRANT)
    history = given().when(start()).when(request(policy=granting)).after(HOUR)
    history = history.when(act_on_deadline())
    granted = history.approval(1)
    revoked = history.after(HOUR).when(revoke("olivia")).approval(1)
    assert granted.expiry_grant is not None
    assert revoked.expiry_grant == granted.expiry_grant
    assert revoked.pending_until == granted.resolved_at
