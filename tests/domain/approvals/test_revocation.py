"""A grant is taken back before it is redeemed, and lapses when its time is over."""

from datetime import timedelta
from typing import Any

import pytest

from domain.approvals.events import (
    ApprovalRedeemed,
    ApprovalRequested,
    ApprovalRevoked,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import ApprovalStatus, ResolutionCause
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Role
from tests.domain.ask import (
    fail,
    grant,
    policy,
    redeem,
    reject,
    request,
    retry,
    revoke,
    start,
    suspend,
)
from tests.domain.facts import expired, requested, resumed, started
from tests.domain.people import principal
from tests.domain.scenario import Given, given

HOUR = timedelta(hours=1)


def granted(**rest: Any) -> Given:
    return given().when(start()).when(request(**rest)).when(grant("ann"))


@pytest.mark.parametrize("by", ["ann", "olivia", "adam"])
def test_who_granted_it_and_operators_revoke(by: str) -> None:
    history = granted().when(revoke(by)).then(ApprovalRevoked)

    approval = history.approval(1)
    assert approval.status is ApprovalStatus.REVOKED
    assert approval.resolution is ResolutionCause.REVOCATION
    assert history.state.state is ExecutionState.RESUMED
    assert history.state.woken_version == history.state.version


def test_nothing_is_redeemed_after_it() -> None:
    history = granted().when(revoke()).then(ApprovalRevoked)

    history.when(redeem()).then_refused(RefusalCode.INVALID_TRANSITION, "REVOKED")


def test_nothing_is_revoked_after_the_redemption() -> None:
    granted().when(redeem()).when(revoke()).then_refused(RefusalCode.ALREADY_REDEEMED)


def test_it_wakes_a_worker_that_sleeps() -> None:
    history = granted().when(suspend(seen=4)).when(revoke()).then(ApprovalRevoked)

    assert not history.state.asleep


def test_twice_is_a_repeat() -> None:
    granted().when(revoke()).when(revoke("olivia")).then_repeated()


def test_another_approver_may_not() -> None:
    granted().when(revoke("bob")).then_refused(RefusalCode.NOT_ELIGIBLE)


def test_an_engine_may_not() -> None:
    both = principal("both", Role.ENGINE, Role.ADMIN, queues=("default",))

    granted().when(revoke("engine")).then_refused(RefusalCode.FORBIDDEN)
    granted().when(revoke(both)).then_refused(RefusalCode.FORBIDDEN)


def test_what_is_not_granted_is_not_revoked() -> None:
    given().when(start()).when(request()).when(revoke("olivia")).then_refused(
        RefusalCode.INVALID_TRANSITION, "PENDING"
    )
    given().when(start()).when(request()).when(reject("ann")).when(revoke("olivia")).then_refused(
        RefusalCode.INVALID_TRANSITION, "REJECTED"
    )


def test_a_grant_by_expiry_is_revoked_by_operators_only() -> None:
    history = given(started(), requested(), expired(action=ExpiryAction.GRANT), resumed())

    history.when(revoke("ann")).then_refused(RefusalCode.NOT_ELIGIBLE, "expiry")
    history.when(revoke("olivia")).then(ApprovalRevoked)


def test_it_is_possible_after_a_failure_and_does_not_disturb_the_retry() -> None:
    history: Given = granted().when(fail())
    failed_at = history.state.version

    history = history.when(revoke("olivia")).then(ApprovalRevoked)
    assert history.state.state is ExecutionState.FAILED
    history.when(retry(expected_version=failed_at)).when(retry(expected_version=failed_at))
    history.when(request()).then(ApprovalRequested)


def test_other_content_may_be_asked_under_its_key() -> None:
    history = granted().when(revoke())

    history.when(request()).then_repeated()
    history.when(request(payload=90)).then(ApprovalRequested)


def test_a_grant_is_valid_for_a_time() -> None:
    wanted = policy(valid_for=HOUR)
    history = granted(policy=wanted)
    resolved_at = history.approval(1).resolved_at
    assert resolved_at is not None
    assert history.approval(1).valid_until == resolved_at + HOUR

    history.after(HOUR).when(redeem()).then_refused(RefusalCode.LAPSED, "request it again")


def test_a_grant_is_redeemed_in_time_and_its_repeat_comes_later() -> None:
    history: Given = granted(policy=policy(valid_for=HOUR)).after(timedelta(minutes=59))

    history = history.when(redeem()).then(ApprovalRedeemed)
    history.after(HOUR).when(redeem()).then_repeated()


def test_a_lapsed_grant_wins_over_a_wrong_digest() -> None:
    history = granted(policy=policy(valid_for=HOUR)).after(2 * HOUR)

    history.when(redeem(digest="sha256:other")).then_refused(RefusalCode.LAPSED)


def test_after_the_lapse_other_content_may_be_asked_and_the_same_after_a_retry() -> None:
    wanted = policy(valid_for=HOUR)
    history = granted(policy=wanted).after(2 * HOUR)

    history.when(request(policy=wanted)).then_repeated()
    history.when(fail()).when(retry()).when(request(policy=wanted)).then(ApprovalRequested)
    other = granted(policy=wanted).after(2 * HOUR)
    other.when(request(policy=wanted, payload=90)).then(ApprovalRequested)


def test_a_span_must_be_longer_than_nothing() -> None:
    wanted = policy(valid_for=timedelta(0))

    given().when(start()).when(request(policy=wanted)).then_refused(
        RefusalCode.INVALID_INPUT, "policy.validFor"
    )
