"""The people of a stage are asked when all requirements of lower stages are met."""

from domain.approvals.eligibility import objections
from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
    DecisionRetracted,
)
from domain.approvals.policy import Policy
from domain.approvals.quorum import current_stage, outstanding
from domain.approvals.state import ApprovalStatus
from domain.execution.events import (
    Resumed,
)
from domain.refusals import RefusalCode
from tests.domain.ask import grant, needs, policy, reject, request, retract, start
from tests.domain.people import ANN, BOB, CLEO, approver
from tests.domain.scenario import Given, given

FINANCE_THEN_LEGAL = policy(needs("finance"), needs("legal", stage=2))
DORA = approver("dora", "finance", "legal")


def waiting(wanted: Policy = FINANCE_THEN_LEGAL) -> Given:
    return given().when(start()).when(request(policy=wanted))


def test_the_second_stage_is_asked_after_the_first() -> None:
    history = waiting()

    history.when(grant("cleo")).then_refused(RefusalCode.NOT_ELIGIBLE, "stage 2")
    first = history.when(grant("bob")).then(ApprovalGranted)
    assert current_stage(first.approval(1)) == 2
    assert first.approval(1).decisions[0].stage == 1
    done = first.when(grant("cleo")).then(ApprovalGranted, Resumed)
    assert done.approval(1).decisions[1].stage == 2
    assert done.approval(1).status is ApprovalStatus.GRANTED


def test_nobody_decides_in_a_stage_that_is_met() -> None:
    history = waiting().when(grant("bob")).then(ApprovalGranted)

    history.when(grant("ann")).then_refused(RefusalCode.NOT_ELIGIBLE, "earlier stage")


def test_each_person_counts_once_over_all_stages() -> None:
    history = waiting().when(grant(DORA)).then(ApprovalGranted)

    history.when(grant(DORA)).then_repeated()
    assert [r.groups for r in outstanding(history.approval(1))] == [("legal",)]


def test_any_stage_can_reject() -> None:
    history = waiting().when(grant("bob")).then(ApprovalGranted)

    ended = history.when(reject("cleo")).then(ApprovalRejected, Resumed)
    assert ended.approval(1).status is ApprovalStatus.REJECTED


def test_people_of_a_later_stage_cannot_reject_before_it_begins() -> None:
    waiting().when(reject("cleo")).then_refused(RefusalCode.NOT_ELIGIBLE, "not complete yet")


def test_a_retraction_reopens_a_stage_and_later_decisions_stand() -> None:
    wanted = policy(needs("finance"), needs("legal", count=2, stage=2))
    history = waiting(wanted).when(grant("bob")).then(ApprovalGranted)
    history = history.when(grant("cleo")).then(ApprovalGranted)

    reopened = history.when(retract("bob")).then(DecisionRetracted)

    assert current_stage(reopened.approval(1)) == 1
    assert [(r.stage, r.count) for r in outstanding(reopened.approval(1))] == [(1, 1), (2, 1)]
    reopened.when(grant(DORA)).then(ApprovalGranted)
    lena = approver("lena", "legal")
    reopened.when(grant(lena)).then(ApprovalGranted, Resumed)


def test_nobody_new_decides_in_a_reopened_policys_later_stage() -> None:
    wanted = policy(needs("finance"), needs("legal", count=2, stage=2))
    history = waiting(wanted).when(grant("bob")).when(grant("cleo")).when(retract("bob"))

    lena = approver("lena", "legal")
    history.when(grant(lena)).then_refused(RefusalCode.NOT_ELIGIBLE, "stage 2")


def test_stages_have_no_gap() -> None:
    skipped = policy(needs("finance"), needs("legal", stage=3))

    given().when(start()).when(request(policy=skipped)).then_refused(
        RefusalCode.INVALID_INPUT, "no stage 2"
    )


def test_every_stage_sees_the_approval_and_reads_why_it_waits() -> None:
    history = waiting()
    approval = history.approval(1)

    assert list(objections(BOB, history.state, approval)) == []
    assert list(objections(ANN, history.state, approval)) == []
    assert list(objections(CLEO, history.state, approval)) == [
        "this person is asked in stage 2, and stage 1 is not complete yet; groups held: legal"
    ]
