"""A simulation says what another policy would have made of the recorded decisions."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.approvals.policy import ExpiryAction, Policy
from domain.approvals.simulation import simulate
from domain.approvals.state import ApprovalStatus
from tests.domain.ask import (
    Ask,
    act_on_deadline,
    ask_changes,
    delegate,
    grant,
    needs,
    policy,
    reject,
    request,
    retract,
    revoke,
    start,
    withdraw,
)
from tests.domain.people import ANN, approver
from tests.domain.scenario import Given, given

DORA = approver("dora")
HOUR = timedelta(hours=1)
TWO = policy(needs("finance", count=2))


def history(wanted: Policy, *asks: Ask) -> Given:
    past: Given = given().when(start()).when(request(policy=wanted))
    for ask in asks:
        past = past.when(ask)
    return past


def with_policy(past: Given, other: Policy) -> tuple[ApprovalStatus, str]:
    status, reason = simulate(past.state, past.approval(1), other)
    return status, reason


@pytest.mark.parametrize(
    ("wanted", "asks"),
    [
        (policy(), [grant("ann")]),
        (TWO, [grant("ann"), grant("bob")]),
        (TWO, [grant("ann"), retract("ann"), grant("ann"), grant("bob")]),
        (policy(needs("finance"), needs("legal", stage=2)), [grant("ann"), grant("cleo")]),
        (policy(rejections=2), [reject("ann"), ask_changes("bob")]),
        (
            policy(needs("finance"), needs("legal", stage=2), rejections=2),
            [grant("ann"), ask_changes("cleo"), retract("ann"), ask_changes("ann")],
        ),
        (policy(), [delegate("dora"), grant(DORA)]),
        (policy(), [grant("ann"), revoke("ann")]),
        (policy(), [withdraw()]),
    ],
)
def test_the_policy_in_force_gives_no_difference(wanted: Policy, asks: list[Ask]) -> None:
    past = history(wanted, *asks)

    assert with_policy(past, wanted)[0] is past.approval(1).status


@pytest.mark.parametrize("action", [ExpiryAction.REJECT, ExpiryAction.GRANT])
def test_what_expired_expires(action: ExpiryAction) -> None:
    wanted = policy(within=HOUR, on_expiry=action)
    past = history(wanted).after(HOUR).when(act_on_deadline())

    assert with_policy(past, wanted)[0] is past.approval(1).status
    other = policy(within=HOUR)
    assert with_policy(past, other)[0] is ApprovalStatus.EXPIRED


def test_what_asked_for_answers_is_not_granted_by_its_deadline() -> None:
    asked = request(policy=policy(within=HOUR), form={"type": "object"})
    past: Given = given().when(start()).when(asked).after(HOUR).when(act_on_deadline())

    status, reason = with_policy(past, policy(within=HOUR, on_expiry=ExpiryAction.GRANT))

    assert status is ApprovalStatus.EXPIRED
    assert reason == "its deadline passed, and with a form onExpiry GRANT is not allowed"


@examples(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "cleo"]), st.sampled_from([grant, reject])),
        max_size=4,
    ),
    st.integers(1, 2),
    st.integers(1, 2),
)
def test_no_history_differs_under_its_own_policy(
    decided: list[tuple[str, Any]], count: int, rejections: int
) -> None:
    wanted = policy(needs("finance", "legal", count=count), rejections=rejections)
    past = history(wanted, *(verdict(person) for person, verdict in decided))
    if past.approval(1).pending:
        return

    assert with_policy(past, wanted)[0] is past.approval(1).status


def test_a_stricter_policy_would_still_wait() -> None:
    past = history(policy(), grant("ann"))

    assert with_policy(past, TWO) == (
        ApprovalStatus.PENDING,
        "the decisions do not meet the policy",
    )


def test_who_would_not_have_been_asked_is_left_out_with_the_reason() -> None:
    past = history(policy(), grant("ann"))

    status, reason = with_policy(past, policy(needs("legal")))
    assert status is ApprovalStatus.PENDING
    assert "left out: ann: no requirement names this person" in reason


def test_a_laxer_policy_grants_with_the_first_decision() -> None:
    past = history(TWO, grant("ann"), reject("bob"))
    assert past.approval(1).status is ApprovalStatus.REJECTED

    assert with_policy(past, policy())[0] is ApprovalStatus.GRANTED


def test_all_groups_of_a_person_count_and_not_only_those_that_the_policy_named() -> None:
    past = history(policy(), grant("ann"))

    assert with_policy(past, policy(needs("managers")))[0] is ApprovalStatus.GRANTED


def test_a_policy_that_asks_for_a_login_counts_only_decisions_whose_login_is_known() -> None:
    asks = policy(max_auth_age=HOUR)
    status, reason = with_policy(history(policy(), grant("ann")), asks)
    assert status is ApprovalStatus.PENDING
    assert "ann: how this person had logged in was not asked for" in reason

    fresh = replace(ANN, acr="phr", auth_time=given().now - HOUR / 2)
    asked = history(asks, grant(fresh))
    assert with_policy(asked, asks)[0] is ApprovalStatus.GRANTED
    status, reason = with_policy(asked, policy(max_auth_age=HOUR / 4))
    assert status is ApprovalStatus.PENDING
    assert "ann: the policy asks for a login in the last 900 seconds" in reason
    assert with_policy(asked, policy(acr_values=("phr",)))[0] is ApprovalStatus.GRANTED
    assert with_policy(asked, policy(acr_values=("gold",)))[0] is ApprovalStatus.PENDING
