"""A granted approval is redeemed once, under one key, for the granted payload."""

import pytest

from domain.approvals.events import (
    ApprovalRedeemed,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import needs, policy, redeem
from tests.domain.facts import (
    Fact,
    cancelled,
    completed,
    expired,
    failed,
    granted,
    redeemed,
    rejected,
    requested,
    resumed,
    retried,
    started,
    withdrawn,
)
from tests.domain.scenario import given

GRANTED = (started(), requested(), granted(), resumed())


def test_a_granted_approval_is_redeemed_and_the_execution_runs() -> None:
    digest = given(*GRANTED).approval(1).payload_digest
    outcome = (
        given(*GRANTED)
        .when(redeem(key="booking"))
        .then(ApprovalRedeemed(ordinal=1, payload_digest=digest, redemption_key="booking"))
    )

    approval = outcome.approval(1)
    assert outcome.state.state is ExecutionState.RUNNING
    assert (approval.redemption_key, approval.redeemed_version) == ("booking", 5)
    assert approval.redeemed_at == outcome.log[-1].at


def test_redeeming_again_under_the_same_key_is_a_repeat() -> None:
    given(*GRANTED, redeemed(key="booking")).when(redeem(key="booking")).then_repeated()


def test_redeeming_again_under_another_key_is_refused() -> None:
    given(*GRANTED, redeemed(key="booking")).when(redeem(key="second")).then_refused(
        RefusalCode.ALREADY_REDEEMED, "another key"
    )


def test_the_same_key_for_another_payload_is_key_reused() -> None:
    given(*GRANTED, redeemed(key="booking")).when(
        redeem(key="booking", digest="sha256:other")
    ).then_refused(RefusalCode.KEY_REUSED)


@pytest.mark.parametrize(
    ("facts", "stands"),
    [
        ((requested(),), "PENDING"),
        ((requested(), rejected(), resumed()), "REJECTED"),
        ((requested(), withdrawn(), resumed()), "WITHDRAWN"),
        ((requested(), expired(), resumed()), "EXPIRED"),
        (
            (requested(policy=policy(needs("finance", count=2))), granted(resolves=False)),
            "PENDING",
        ),
    ],
)
def test_only_a_granted_approval_is_redeemed(facts: tuple[Fact, ...], stands: str) -> None:
    given(started(), *facts).when(redeem()).then_refused(
        RefusalCode.INVALID_TRANSITION, f"is {stands}"
    )


@pytest.mark.parametrize("ending", [completed(), failed(), cancelled()])
def test_nothing_is_redeemed_on_an_ended_execution(ending: Fact) -> None:
    given(*GRANTED, ending).when(redeem()).then_refused(RefusalCode.INVALID_TRANSITION)
    given(*GRANTED, redeemed(), ending).when(redeem()).then_repeated()


def test_a_parallel_branch_redeems_while_another_approval_is_pending() -> None:
    outcome = (
        given(started(), requested("a"), requested("b"), granted(ordinal=1))
        .when(redeem(1))
        .then(ApprovalRedeemed)
    )

    assert outcome.state.state is ExecutionState.WAITING_APPROVAL


def test_what_was_granted_is_redeemed_also_after_a_retry() -> None:
    given(*GRANTED, failed(), retried()).when(redeem()).then(ApprovalRedeemed)
    given(*GRANTED, redeemed(), failed(), retried()).when(redeem(key="second")).then_refused(
        RefusalCode.ALREADY_REDEEMED
    )
