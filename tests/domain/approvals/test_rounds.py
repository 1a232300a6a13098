"""A key is asked again in a new round only after a retry, and never once it was granted."""

import pytest

from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRequested,
)
from domain.approvals.state import ApprovalStatus
from domain.execution.events import (
    Resumed,
)
from domain.refusals import RefusalCode
from tests.domain.ask import grant, request
from tests.domain.facts import (
    Fact,
    expired,
    failed,
    granted,
    rejected,
    requested,
    resumed,
    retried,
    started,
    withdrawn,
)
from tests.domain.scenario import given

AGAIN = (failed(), retried())


@pytest.mark.parametrize("resolution", [rejected(), withdrawn(), expired()])
def test_without_a_retry_no_new_round_opens(resolution: Fact) -> None:
    given(started(), requested(), resolution, resumed()).when(request()).then_repeated()


@pytest.mark.parametrize("resolution", [rejected(), withdrawn(), expired()])
def test_after_a_retry_a_new_round_opens(resolution: Fact) -> None:
    outcome = (
        given(started(), requested(), resolution, resumed(), *AGAIN)
        .when(request())
        .then(ApprovalRequested)
    )

    assert (outcome.approval(2).key, outcome.approval(2).round) == ("permit", 2)
    assert outcome.approval(2).status is ApprovalStatus.PENDING
    assert outcome.approval(1).status is not ApprovalStatus.PENDING
    outcome.when(grant(by="ann", ordinal=2)).then(ApprovalGranted, Resumed)


def test_what_was_granted_stays_granted_over_a_retry() -> None:
    history = given(started(), requested(), granted(), resumed(), *AGAIN)

    history.when(request()).then_repeated()
    history.when(request(title="Another")).then_refused(RefusalCode.KEY_REUSED)


def test_a_new_round_may_ask_for_something_else() -> None:
    outcome = (
        given(started(), requested(payload=100), rejected(), resumed(), *AGAIN)
        .when(request(payload=90))
        .then(ApprovalRequested)
    )

    assert [a.payload for a in outcome.state.approvals_in_order()] == [100, 90]


def test_an_approval_that_the_failure_withdrew_is_asked_again() -> None:
    given(started(), requested(), withdrawn(), failed(), retried()).when(request()).then(
        ApprovalRequested
    )


def test_one_retry_opens_one_round() -> None:
    history = given(started(), requested(), rejected(), resumed(), *AGAIN, requested(round=2))

    history.when(request()).then_repeated()
    history.when(request(payload=0)).then_refused(RefusalCode.KEY_REUSED)


def test_each_retry_opens_a_round_and_a_decision_counts_for_its_own() -> None:
    history = given(
        started(),
        requested(),
        rejected("ann"),
        resumed(),
        *AGAIN,
        requested(round=2),
        rejected("ann"),
        resumed(),
        *AGAIN,
    )

    outcome = history.when(request()).then(ApprovalRequested)

    assert outcome.approval(3).round == 3
    outcome.when(grant(by="ann", ordinal=3)).then(ApprovalGranted, Resumed)


def test_a_key_first_asked_after_the_retry_is_in_its_first_round() -> None:
    history = given(started(), *AGAIN, requested("other"), rejected(), resumed())

    assert history.approval(1).round == 1
    history.when(request("other")).then_repeated()
