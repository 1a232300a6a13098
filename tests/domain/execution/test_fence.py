"""A claimed execution accepts only commands with its current fence."""

import msgspec
import pytest

from domain.execution.events import Claimed, StepCompleted
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Role
from tests.domain.ask import (
    Ask,
    cancel,
    claim,
    complete,
    fail,
    grant,
    redeem,
    request,
    retry,
    step,
    withdraw,
)
from tests.domain.facts import (
    Fact,
    cancelled,
    claimed,
    completed,
    failed,
    granted,
    requested,
    resumed,
    started,
    step_completed,
)
from tests.domain.people import principal
from tests.domain.scenario import given

STALE, CURRENT, FUTURE = 1, 2, 3
RIVAL = principal("rival", Role.ENGINE, queues=("default",))


def sent_with(fence: int | None) -> list[Ask]:
    return [
        step("new", fence=fence),
        step("new", error="e", fence=fence),
        request("new", fence=fence),
        withdraw(1, fence=fence),
        redeem(2, fence=fence),
        complete(fence=fence),
        fail(fence=fence),
    ]


HISTORY = (started(), claimed(), requested("a"), requested("b"), granted(ordinal=2), claimed())
NAMES = ["step", "failed-step", "request", "withdraw", "redeem", "complete", "fail"]


@pytest.mark.parametrize("fence", [None, 0, STALE, FUTURE, -1 - FUTURE])
@pytest.mark.parametrize("kind", range(len(NAMES)), ids=NAMES)
def test_a_worker_without_the_current_fence_is_refused(kind: int, fence: int | None) -> None:
    given(*HISTORY).when(sent_with(fence)[kind]).then_refused(RefusalCode.FENCED)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 6], ids=lambda kind: NAMES[kind])
def test_the_worker_with_the_current_fence_goes_on(kind: int) -> None:
    before = given(*HISTORY).state.version

    assert given(*HISTORY).when(sent_with(CURRENT)[kind]).state.version > before


@pytest.mark.parametrize("kind", range(len(NAMES)), ids=NAMES)
def test_another_owner_s_engine_is_refused_although_it_read_the_fence(kind: int) -> None:
    history = given(*HISTORY)
    command = msgspec.structs.replace(sent_with(CURRENT)[kind](history.state), by=RIVAL)

    history.when(lambda _: command).then_refused(RefusalCode.FENCED, "another owner's worker")


def test_another_owner_s_engine_goes_on_after_it_has_claimed() -> None:
    taken = given(*HISTORY).when(claim(RIVAL)).then(Claimed)

    taken.when(step("new", fence=3)).then_refused(RefusalCode.FENCED, "another owner's worker")
    taken.when(step("new", by=RIVAL, fence=3)).then(StepCompleted)


def test_two_tokens_of_one_owner_share_a_claim() -> None:
    second = principal("engine", Role.ENGINE, queues=("default", "other"))

    given(*HISTORY).when(step("new", by=second, fence=CURRENT)).then(StepCompleted)


def test_the_message_says_what_is_missing_or_wrong() -> None:
    history = given(*HISTORY)

    history.when(step(fence=None)).then_refused(RefusalCode.FENCED, "a fencing token is needed")
    history.when(step(fence=STALE)).then_refused(RefusalCode.FENCED, "fencing token 1")


@pytest.mark.parametrize("fence", [None, 0])
def test_before_the_first_claim_no_fence_is_needed(fence: int | None) -> None:
    given(started()).when(step(fence=fence)).then(StepCompleted)


def test_before_the_first_claim_no_other_fence_does() -> None:
    given(started()).when(step(fence=1)).then_refused(RefusalCode.FENCED)


def test_each_claim_raises_the_fence_by_one_and_keeps_the_state() -> None:
    outcome = (
        given(started(), requested())
        .when(claim(worker="w1"))
        .then(Claimed(worker="w1", fence=1))
        .when(claim(worker="w2"))
        .then(Claimed(worker="w2", fence=2))
    )

    assert (outcome.state.fence, outcome.state.worker) == (2, "w2")
    assert outcome.state.state is ExecutionState.WAITING_APPROVAL


def test_a_resumed_execution_stays_resumed_when_claimed() -> None:
    outcome = given(started(), requested(), granted(), resumed()).when(claim()).then(Claimed)

    assert outcome.state.state is ExecutionState.RESUMED


@pytest.mark.parametrize("ending", [completed(), failed(), cancelled()])
def test_an_ended_execution_is_not_claimed(ending: Fact) -> None:
    given(started(), ending).when(claim()).then_refused(
        RefusalCode.INVALID_TRANSITION, "Claimed is not possible"
    )


def test_a_repeat_needs_the_current_fence_too() -> None:
    history = given(started(), claimed(), step_completed("book"), claimed())

    history.when(step("book", fence=STALE)).then_refused(RefusalCode.FENCED)
    history.when(step("book", fence=CURRENT)).then_repeated()


def test_people_need_no_fence() -> None:
    assert given(*HISTORY).when(grant(ordinal=1)).state.pending == 0
    assert given(*HISTORY).when(cancel()).state.state is ExecutionState.CANCELLED
    assert given(started(), claimed(), failed()).when(retry()).state.fence == 1
