"""People with an interest in the outcome do not decide, unless the policy allows it."""

import pytest

from domain.approvals.eligibility import objections
from domain.execution.events import ApprovalGranted, ApprovalRejected, Resumed
from domain.refusals import RefusalCode
from domain.values import Principal, Role
from tests.domain.ask import Ask, grant, needs, policy, reject
from tests.domain.facts import Fact, requested, started
from tests.domain.people import ANN, BOB, principal
from tests.domain.scenario import given

EVA = principal("eva", Role.OPERATOR, Role.APPROVER, groups=("finance",))
EASY = policy(allow_initiator=True)
INTERESTED = [
    pytest.param((started(by=EVA), requested()), "started the execution", id="initiator"),
    pytest.param(
        (started(on_behalf_of="eva"), requested()), "on behalf of this person", id="beneficiary"
    ),
    pytest.param((started(), requested(by=EVA)), "requested the approval", id="requester"),
]
ALLOWED = [
    pytest.param((started(by=EVA), requested(policy=EASY)), id="initiator"),
    pytest.param((started(on_behalf_of="eva"), requested(policy=EASY)), id="beneficiary"),
    pytest.param((started(), requested(by=EVA, policy=EASY)), id="requester"),
]


@pytest.mark.parametrize(("facts", "rule"), INTERESTED)
@pytest.mark.parametrize("ask", [grant(by=EVA), reject(by=EVA)])
def test_an_interested_person_neither_grants_nor_rejects(
    facts: tuple[Fact, ...], rule: str, ask: Ask
) -> None:
    given(*facts).when(ask).then_refused(RefusalCode.NOT_ELIGIBLE, rule)


@pytest.mark.parametrize("facts", ALLOWED)
def test_the_policy_may_allow_it(facts: tuple[Fact, ...]) -> None:
    given(*facts).when(grant(by=EVA)).then(ApprovalGranted, Resumed)
    given(*facts).when(reject(by=EVA)).then(ApprovalRejected, Resumed)


def test_somebody_else_decides() -> None:
    given(started(by=EVA, on_behalf_of="ann"), requested(by=EVA)).when(grant(by="bob")).then(
        ApprovalGranted, Resumed
    )


def test_people_are_compared_by_id_and_not_by_name() -> None:
    namesake = Principal(id="eva-2", name="Eva", roles=EVA.roles, groups=EVA.groups)
    other_key = Principal(id="eva", name="a key of hers", roles=EVA.roles, groups=EVA.groups)

    given(started(by=EVA), requested()).when(grant(by=namesake)).then(ApprovalGranted, Resumed)
    given(started(by=EVA), requested()).when(grant(by=other_key)).then_refused(
        RefusalCode.NOT_ELIGIBLE
    )


def test_being_named_does_not_lift_four_eyes() -> None:
    named = policy(needs(users=("eva",)))

    given(started(by=EVA), requested(policy=named)).when(grant(by=EVA)).then_refused(
        RefusalCode.NOT_ELIGIBLE
    )


def test_an_approver_who_is_not_eligible_is_told_so() -> None:
    onlooker = principal("otto", Role.OPERATOR, Role.APPROVER, groups=("gardeners",))

    given(started(), requested()).when(grant(by=onlooker)).then_refused(
        RefusalCode.NOT_ELIGIBLE, "no requirement names this person"
    )


def test_every_objection_is_listed() -> None:
    engine = principal("eva", Role.OPERATOR, Role.ENGINE, groups=("gardeners",))
    history = given(started(by=EVA, on_behalf_of="eva"), requested(by=EVA))

    reasons = list(objections(engine, history.state, history.approval(1)))

    assert len(reasons) == 5
    assert len(set(reasons)) == 5
    for person in (ANN, BOB):
        assert list(objections(person, history.state, history.approval(1))) == []
