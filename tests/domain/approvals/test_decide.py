"""Asking for an approval, deciding it, withdrawing it."""

import pytest

from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    DecisionContent,
)
from domain.approvals.state import ApprovalStatus, ResolutionCause, Verdict
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    Resumed,
)
from domain.identifiers import ApprovalId
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Principal
from tests.domain.ask import EXECUTION, Ask, grant, needs, policy, reject, request, step, withdraw
from tests.domain.facts import (
    Fact,
    completed,
    granted,
    rejected,
    requested,
    resumed,
    started,
    withdrawn,
)
from tests.domain.people import approver
from tests.domain.scenario import given

TWO_OF_FINANCE = policy(needs("finance", count=2))


def test_a_request_stops_the_execution() -> None:
    outcome = (
        given(started())
        .when(request("permit", title="Trip", description="By train", payload=[1]))
        .then(ApprovalRequested)
    )

    approval = outcome.approval(1)
    assert outcome.state.state is ExecutionState.WAITING_APPROVAL
    assert outcome.state.pending == 1
    assert approval.id == ApprovalId(EXECUTION, 1)
    assert (approval.key, approval.round, approval.status) == ("permit", 1, ApprovalStatus.PENDING)
    assert (approval.title, approval.description, approval.payload) == ("Trip", "By train", [1])
    assert approval.requested_by.id == "engine"
    assert (approval.requested_at, approval.requested_version) == (outcome.log[-1].at, 2)
    assert approval.resolution is None


def test_a_grant_resumes_the_execution_in_the_same_commit() -> None:
    outcome = given(started(), requested()).when(grant(by="ann")).then(ApprovalGranted, Resumed)

    approval = outcome.approval(1)
    assert outcome.state.state is ExecutionState.RESUMED
    assert outcome.state.pending == 0
    assert (approval.status, approval.resolution) == (
        ApprovalStatus.GRANTED,
        ResolutionCause.DECISIONS,
    )
    assert (approval.resolved_version, outcome.state.woken_version) == (3, 3)
    assert approval.resolved_at == outcome.log[2].at


def test_a_decision_says_who_when_what_and_by_which_rule() -> None:
    outcome = (
        given(started(), requested())
        .when(grant(by="ann", comment="have fun"))
        .then(
            ApprovalGranted(
                ordinal=1,
                digest=given(started(), requested()).approval(1).digest,
                rule="group:finance",
                groups=("finance", "managers"),
                resolves=True,
                content=DecisionContent(comment="have fun"),
            ),
            Resumed,
        )
    )

    (decision,) = outcome.approval(1).decisions
    assert decision.verdict is Verdict.GRANTED
    assert (decision.by.id, decision.by.name, decision.comment) == ("ann", "Ann", "have fun")
    assert (decision.version, decision.at) == (3, outcome.log[2].at)
    assert decision.digest == outcome.approval(1).digest
    assert decision.on_behalf_of is None


@pytest.mark.parametrize(
    ("who", "rule"),
    [
        (approver("dan", "finance"), "group:finance"),
        (approver("dan", "legal"), "user:dan"),
        (approver("dan", "managers"), "user:dan"),
        (approver("eve", "managers", "legal"), "group:legal"),
    ],
)
def test_the_rule_is_of_the_earliest_requirement_that_admits_the_person(
    who: Principal, rule: str
) -> None:
    asked = policy(needs("finance"), needs("legal", users=("dan",)), needs("managers"))

    outcome = given(started(), requested(policy=asked)).when(grant(by=who)).then(ApprovalGranted)

    assert outcome.approval(1).decisions[0].rule == rule


def test_a_decision_records_all_groups_that_the_person_held() -> None:
    who = approver("dan", "managers", "finance", "chess-club")
    asked = policy(needs("finance"), needs("managers"))

    outcome = given(started(), requested(policy=asked)).when(grant(by=who)).then(ApprovalGranted)

    decision = outcome.approval(1).decisions[0]
    assert decision.groups == ("chess-club", "finance", "managers")
    assert decision.all_groups_known


def test_a_rejection_resolves_and_resumes_too() -> None:
    outcome = (
        given(started(), requested())
        .when(reject(by="bob", comment="too dear"))
        .then(ApprovalRejected, Resumed)
    )

    assert outcome.approval(1).status is ApprovalStatus.REJECTED
    assert outcome.approval(1).decisions[0].comment == "too dear"
    assert outcome.state.state is ExecutionState.RESUMED


def test_a_decision_that_leaves_the_quorum_open_resumes_nothing() -> None:
    outcome = (
        given(started(), requested(policy=TWO_OF_FINANCE))
        .when(grant(by="ann"))
        .then(ApprovalGranted)
    )

    assert outcome.approval(1).pending
    assert outcome.state.state is ExecutionState.WAITING_APPROVAL
    outcome.when(grant(by="bob")).then(ApprovalGranted, Resumed)


def test_an_execution_resumes_only_when_its_last_pending_approval_is_resolved() -> None:
    outcome = (
        given(started(), requested("a"), requested("b"), requested("c"))
        .when(grant(ordinal=2))
        .then(ApprovalGranted)
        .when(withdraw(1))
        .then(ApprovalWithdrawn)
        .when(step("meanwhile"))
        .when(reject(by="bob", ordinal=3))
        .then(ApprovalRejected, Resumed)
    )

    assert [a.status.value for a in outcome.state.approvals_in_order()] == [
        "WITHDRAWN",
        "GRANTED",
        "REJECTED",
    ]


def test_a_resolution_that_leaves_others_pending_is_marked_on_the_execution() -> None:
    outcome = given(started(), requested("a"), requested("b")).when(grant(ordinal=1))

    assert outcome.state.woken_version == 4
    assert [a.ordinal for a in outcome.state.pending_approvals()] == [2]


@pytest.mark.parametrize(("first", "again"), [(granted(), grant()), (rejected(), reject())])
def test_the_same_decision_again_is_a_repeat(first: Fact, again: Ask) -> None:
    given(started(), requested(), first, resumed()).when(again).then_repeated()


def test_a_repeated_decision_may_have_another_comment() -> None:
    given(started(), requested(), granted()).when(grant(comment="as I said")).then_repeated()


def test_a_repeated_decision_is_known_while_the_approval_is_pending() -> None:
    history = given(started(), requested(policy=TWO_OF_FINANCE), granted(resolves=False))

    history.when(grant(by="ann")).then_repeated()
    history.when(reject(by="ann")).then_refused(RefusalCode.ALREADY_DECIDED, "GRANTED")


def test_nobody_decides_after_the_approval_is_resolved() -> None:
    history = given(started(), requested(), granted("ann"), resumed())

    history.when(grant(by="bob")).then_refused(RefusalCode.ALREADY_DECIDED, "is already GRANTED")
    history.when(reject(by="bob")).then_refused(RefusalCode.ALREADY_DECIDED, "is already GRANTED")
    history.when(reject(by="ann")).then_refused(RefusalCode.ALREADY_DECIDED, "ann already decided")


def test_nobody_decides_a_withdrawn_approval() -> None:
    given(started(), requested(), withdrawn(), resumed()).when(grant()).then_refused(
        RefusalCode.ALREADY_DECIDED, "is already WITHDRAWN"
    )


def test_asking_again_with_the_same_content_finds_the_approval() -> None:
    same = request("permit", payload={"cost": 120.50, "trip": "Eindhoven"})

    for resolution in ((), (granted(), resumed()), (rejected(), resumed())):
        given(started(), requested("permit"), *resolution).when(same).then_repeated()
    given(started(), requested("permit"), withdrawn(), resumed(), completed()).when(
        same
    ).then_repeated()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(request(title="Another"), id="title"),
        pytest.param(request(description="More"), id="description"),
        pytest.param(request(payload=None), id="payload"),
        pytest.param(request(policy=policy(needs("legal"))), id="policy"),
        pytest.param(request(policy=policy(allow_initiator=True)), id="four eyes"),
        pytest.param(request(policy=policy(rejections=2)), id="rejections"),
    ],
)
def test_asking_again_with_other_content_is_key_reused(other: Ask) -> None:
    given(started(), requested()).when(other).then_refused(RefusalCode.KEY_REUSED, "'permit'")


def test_a_withdrawal_resolves_and_resumes() -> None:
    outcome = (
        given(started(), requested())
        .when(withdraw(reason="plans changed"))
        .then(ApprovalWithdrawn(ordinal=1, content=ReasonContent(reason="plans changed")), Resumed)
    )

    assert outcome.approval(1).status is ApprovalStatus.WITHDRAWN
    assert outcome.approval(1).resolution is ResolutionCause.WITHDRAWAL


def test_a_withdrawal_is_known_by_its_approval() -> None:
    given(started(), requested(), withdrawn(), resumed()).when(
        withdraw(reason="another reason")
    ).then_repeated()


def test_a_decided_approval_is_not_withdrawn() -> None:
    given(started(), requested(), granted(), resumed()).when(withdraw()).then_refused(
        RefusalCode.ALREADY_DECIDED, "is already GRANTED"
    )


def test_an_unknown_approval_is_not_found() -> None:
    history = given(started(), requested())

    for ask in (grant(ordinal=2), withdraw(2), reject(ordinal=99)):
        history.when(ask).then_refused(RefusalCode.NOT_FOUND, "no approval")
