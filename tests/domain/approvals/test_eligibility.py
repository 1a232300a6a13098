"""People with an interest in the outcome do not decide, unless the policy allows it."""

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.approvals.eligibility import explanation, objections
from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
)
from domain.execution.events import (
    Resumed,
)
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


@pytest.mark.parametrize(("facts", "rule"), INTERESTED)
def test_a_refusal_by_four_eyes_names_the_groups_held(facts: tuple[Fact, ...], rule: str) -> None:
    said = f"{rule}; groups held: finance"
    given(*facts).when(grant(by=EVA)).then_refused(RefusalCode.NOT_ELIGIBLE, said)


def test_every_objection_is_listed() -> None:
    engine = principal("eva", Role.OPERATOR, Role.ENGINE, groups=("gardeners",))
    history = given(started(by=EVA, on_behalf_of="eva"), requested(by=EVA))

    reasons = list(objections(engine, history.state, history.approval(1)))

    assert len(reasons) == 5
    assert len(set(reasons)) == 5
    assert all(reason.endswith("; groups held: gardeners") for reason in reasons)
    for person in (ANN, BOB):
        assert list(objections(person, history.state, history.approval(1))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            (
                "ann is a member of finance, which the policy asks, in stage 1; "
                "groups held: finance, managers"
            ),
        ),
        ({"rule": "user:ann", "groups": ()}, "the policy names ann, in stage 1; no groups held"),
        (
            {"rule": "escalation:managers"},
            (
                "ann is a member of managers, to which it was escalated, in stage 1; "
                "groups held: finance, managers"
            ),
        ),
        (
            {"on_behalf_of": BOB.actor},
            (
                "in the place of bob: bob is a member of finance, which the policy asks, "
                "in stage 1; groups held: finance, managers"
            ),
        ),
        (
            {"all_groups_known": False, "groups": ("finance",)},
            (
                "ann is a member of finance, which the policy asks, in stage 1; "
                "groups held: finance that the policy names; others are not known"
            ),
        ),
        (
            {"standing_grant_id": UUID(int=1)},
            (
                "ann is a member of finance, which the policy asks, in stage 1, "
                "allowed by a standing grant; groups held: finance, managers"
            ),
        ),
    ],
)
def test_a_decision_is_explained_with_the_groups_of_then(
    changes: dict[str, Any], said: str
) -> None:
    history = given(started(), requested(policy=policy(needs("finance", count=2))))
    [decision] = history.when(grant(by=ANN)).approval(1).decisions
    assert explanation(replace(decision, **changes)) == said
