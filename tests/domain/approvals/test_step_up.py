"""A policy asks how the people who decide must have logged in."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain.approvals.events import ApprovalGranted, ApprovalRejected
from domain.approvals.policy import ExpiryAction
from domain.approvals.step_up import challenge
from domain.execution.events import Resumed
from domain.refusals import RefusalCode
from domain.values import Principal, Role
from tests.domain.ask import delegate, grant, needs, policy, reject, request, start
from tests.domain.people import ANN, BOB, approver, principal
from tests.domain.scenario import Given, given

MINUTE = timedelta(minutes=1)
STRONG = policy(acr_values=("phr", "phrh"), max_auth_age=5 * MINUTE)


def asked(**rest: Any) -> Given:
    return given().when(start()).when(request(policy=policy(**rest)))


def logged_in(who: Principal, acr: str | None = "phr", *, ago: timedelta = MINUTE) -> Principal:
    return replace(who, acr=acr, auth_time=given().now - ago)


def test_a_key_has_no_login_so_it_does_not_decide() -> None:
    history = asked(acr_values=("phr",))
    refused = history.when(grant(ANN))
    refused.then_refused(
        RefusalCode.STEP_UP_REQUIRED, "one of the strengths phr, and this one has none"
    )
    refused = asked(max_auth_age=MINUTE).when(reject(ANN))
    refused.then_refused(
        RefusalCode.STEP_UP_REQUIRED, "in the last 60 seconds, and the token does not say when"
    )


@pytest.mark.parametrize("acr", [None, "", "pwd", "PHR", "phr2"])
def test_a_login_without_a_strength_that_is_asked_for_does_not_decide(acr: str | None) -> None:
    asked(acr_values=("phr",)).when(grant(logged_in(ANN, acr))).then_refused(
        RefusalCode.STEP_UP_REQUIRED
    )


def test_a_login_has_the_strength_if_one_of_its_own_is_among_those_asked_for() -> None:
    strong = logged_in(ANN, "pwd phr")
    [event, _] = asked(acr_values=("gold", "phr")).when(grant(strong)).recorded
    assert isinstance(event, ApprovalGranted)
    assert (event.acr, event.auth_time) == ("pwd phr", strong.auth_time)


def test_a_login_must_be_fresh_at_the_moment_of_the_decision() -> None:
    history = asked(max_auth_age=30 * MINUTE)
    person = logged_in(ANN, None, ago=29 * MINUTE)
    history.after(2 * MINUTE).when(grant(person)).then_refused(
        RefusalCode.STEP_UP_REQUIRED, "in the last 1800 seconds, and this one was 18"
    )
    again = replace(person, auth_time=history.now)
    history.when(grant(again)).then(ApprovalGranted, Resumed)


def test_it_is_asked_after_who_may_decide_and_before_the_digest() -> None:
    history = given().when(start()).when(request(policy=STRONG))
    requester = principal("olivia", Role.APPROVER, groups=("finance",))
    history.when(grant(requester)).then_refused(RefusalCode.NOT_ELIGIBLE, "four eyes")
    history.when(grant(ANN, digest="sha256:x")).then_refused(RefusalCode.STEP_UP_REQUIRED)
    strong = logged_in(ANN)
    history.when(grant(strong, digest="sha256:x")).then_refused(RefusalCode.DIGEST_MISMATCH)
    # A repeat is not decided anew, so it asks for nothing.
    history.when(reject(strong)).then(ApprovalRejected, Resumed)
    history.when(reject(ANN)).then_repeated()


def test_a_delegate_decides_with_their_own_login() -> None:
    dora = approver("dora")
    history = given().when(start()).when(request(policy=STRONG)).when(delegate("dora"))
    history.when(grant(dora)).then_refused(RefusalCode.STEP_UP_REQUIRED)
    history.when(grant(logged_in(dora))).then(ApprovalGranted, Resumed)


def test_a_login_is_recorded_only_where_one_is_asked_for() -> None:
    [event, _] = asked().when(grant(logged_in(ANN))).recorded
    assert isinstance(event, ApprovalGranted)
    assert (event.acr, event.auth_time) == (None, None)


def test_everybody_of_a_quorum_needs_it() -> None:
    both = policy(needs("finance", count=2), acr_values=("phr",))
    history = given().when(start()).when(request(policy=both))
    history.when(grant(logged_in(ANN))).then(ApprovalGranted)
    history.when(grant(BOB)).then_refused(RefusalCode.STEP_UP_REQUIRED)
    history.when(grant(logged_in(BOB))).then(ApprovalGranted, Resumed)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ({"acr_values": ("a b",)}, "policy.acrValues.0 may have no blanks"),
        ({"acr_values": ("ok", 'a"')}, "policy.acrValues.1 may have no blanks, quotes"),
        ({"acr_values": ("é",)}, "letters beyond ASCII"),
        ({"acr_values": ("",)}, "policy.acrValues.0 must not be empty"),
        ({"acr_values": ("a",) * 101}, "policy.acrValues has more than 100"),
        ({"max_auth_age": timedelta(0)}, "policy.maxAuthAge must be longer than 0"),
        (
            {"acr_values": ("a",), "on_expiry": ExpiryAction.GRANT, "within": MINUTE},
            "exclude policy.onExpiry GRANT: nobody would have logged in",
        ),
    ],
)
def test_what_a_policy_can_not_ask_for(rest: dict[str, Any], said: str) -> None:
    wrong = given().when(start()).when(request(policy=policy(**rest)))
    wrong.then_refused(RefusalCode.INVALID_INPUT, said)


def test_the_header_of_rfc_9470_says_what_to_ask_the_provider_for() -> None:
    assert challenge(STRONG) == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="the policy asks for another login", '
        'acr_values="phr phrh", max_age="300"'
    )
    assert "acr_values" not in challenge(policy(max_auth_age=MINUTE))
    assert "max_age" not in challenge(policy(acr_values=("phr",)))
