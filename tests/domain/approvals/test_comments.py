"""Comments and claims: seen by all, possible without waking or deciding anything."""

from datetime import timedelta

import pytest

from domain.approvals.events import (
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalUnclaimed,
)
from domain.execution.events import (
    Retried,
)
from domain.execution.idempotency import first_version
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import (
    claim_approval,
    comment,
    fail,
    grant,
    request,
    retry,
    start,
    unclaim_approval,
)
from tests.domain.scenario import Given, given
from tests.domain.states import HISTORIES


def waiting() -> Given:
    return given().when(start()).when(request())


@pytest.mark.parametrize("by", ["ann", "olivia", "engine", "audrey", "adam"])
def test_whoever_sees_the_approval_comments(by: str) -> None:
    history = waiting().when(comment("why not by train?", by)).then(ApprovalCommented)

    assert len(history.approval(1).comments) == 1


def test_who_does_not_see_it_learns_nothing() -> None:
    waiting().when(comment(by="stranger")).then_refused(RefusalCode.NOT_FOUND)
    waiting().when(comment(by="nobody")).then_refused(RefusalCode.FORBIDDEN)


@pytest.mark.parametrize("state", ExecutionState)
def test_a_comment_is_possible_in_every_state_and_changes_none(state: ExecutionState) -> None:
    history = given(*HISTORIES[state])
    before = _moving(history.state)

    after = history.when(comment(ordinal=1)).then(ApprovalCommented)

    assert _moving(after.state) == before


def _moving(state: Execution) -> tuple[object, ...]:
    return (state.state, state.woken_version, state.asleep_version, state.pending, state.ended_at)


def test_comments_do_not_disturb_a_retry() -> None:
    history: Given = waiting().when(fail())
    failed_at = history.state.version
    history = history.when(comment(ordinal=1)).when(comment("really?", ordinal=1))

    history = history.when(retry(expected_version=failed_at)).then(Retried)
    history.when(retry(expected_version=failed_at)).then_repeated()
    history.when(retry(expected_version=failed_at + 1)).then_repeated()
    repeat = retry(expected_version=failed_at)(history.state)
    assert first_version(history.state, repeat) == history.state.version


def test_a_version_before_the_failure_does_not_retry() -> None:
    history = waiting().when(fail())

    history.when(retry(expected_version=2)).then_refused(RefusalCode.VERSION_CONFLICT)
    history.when(retry(expected_version=99)).then_refused(RefusalCode.VERSION_CONFLICT)


def test_the_same_key_and_text_is_a_repeat() -> None:
    history = waiting().when(comment("a", key="1")).then(ApprovalCommented)

    history.when(comment("a", key="1")).then_repeated()
    history.when(comment("b", key="1")).then_refused(RefusalCode.KEY_REUSED)
    history.when(comment("a", "bob", key="1")).then(ApprovalCommented)
    history.when(comment("a")).then(ApprovalCommented)


def test_a_comment_has_a_text_of_bounded_length() -> None:
    waiting().when(comment(" ")).then_refused(RefusalCode.INVALID_INPUT)
    waiting().when(comment("x" * 1_000_000)).then_refused(RefusalCode.INVALID_INPUT, "limit")


def test_the_last_claim_wins_and_binds_nobody() -> None:
    history = waiting().when(claim_approval("ann")).then(ApprovalClaimed)
    history.when(claim_approval("ann")).then_repeated()
    history = history.when(claim_approval("bob")).then(ApprovalClaimed)

    claimed_by = history.approval(1).claimed_by
    assert claimed_by is not None
    assert claimed_by.id == "bob"
    history.when(unclaim_approval("ann")).then_repeated()
    history.when(grant("ann"))
    assert history.approval(1).status == "GRANTED"


def test_a_claim_ends_after_an_hour_or_by_its_owner() -> None:
    history = waiting().when(claim_approval("ann")).then(ApprovalClaimed)
    claimed_at = history.approval(1).claimed_at
    assert claimed_at is not None
    ended = claimed_at + timedelta(hours=1)

    assert history.approval(1).claimant(ended - timedelta(microseconds=1)) is not None
    assert history.approval(1).claimant(ended) is None
    released = history.when(unclaim_approval("ann")).then(ApprovalUnclaimed)
    assert released.approval(1).claimed_by is None


def test_a_resolved_approval_is_not_claimed() -> None:
    waiting().when(grant("ann")).when(claim_approval("bob")).then_refused(
        RefusalCode.ALREADY_DECIDED
    )
