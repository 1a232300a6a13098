"""A cancellation ends an execution at once, or after its workflow has cleaned up."""

import pytest

from domain.approvals.events import (
    ApprovalWithdrawn,
)
from domain.execution.cancellation import IN_DOUBT
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    CancellationRequested,
    Cancelled,
    Claimed,
    CleanUpDeclared,
    Resumed,
    StepCompleted,
    StepFailed,
    TimerSet,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Role
from tests.domain.ask import (
    Ask,
    cancel,
    claim,
    complete,
    end_cancellation,
    fail,
    grant,
    park,
    redeem,
    request,
    set_timer,
    signal,
    step,
    suspend,
    unpark,
)
from tests.domain.facts import (
    cancellation_requested,
    claimed,
    clean_up_declared,
    granted,
    parked,
    redeemed,
    requested,
    resumed,
    started,
    step_completed,
    step_failed,
    suspended,
)
from tests.domain.people import named, principal
from tests.domain.scenario import given

HELD = (started(), clean_up_declared(), claimed())
CANCELLING = (*HELD, cancellation_requested(reason="too late"))
ALLOWED = (started(), clean_up_declared(), claimed(), requested(), granted(), resumed())


def test_a_worker_declares_once_that_it_cleans_up() -> None:
    history = given(started()).when(claim(cleans_up=True)).then(CleanUpDeclared, Claimed)

    assert history.state.cleans_up
    history.when(claim(cleans_up=True)).then(Claimed)
    # The next worker may have older code. It then ends the execution without a clean-up.
    assert history.when(claim()).then(Claimed).state.cleans_up


def test_without_a_clean_up_it_ends_at_once() -> None:
    history = given(started(), claimed()).when(cancel()).then(Cancelled)

    assert history.state.cancel_requested_at is None


def test_with_a_clean_up_it_is_recorded_as_requested() -> None:
    history = given(*HELD).when(cancel(reason="too late")).then(CancellationRequested)

    assert history.state.state is ExecutionState.RUNNING
    assert history.state.cancel_requested_at == history.log[-1].at
    assert history.state.workable
    history.when(cancel(reason="another reason")).then_repeated()


def test_what_was_never_claimed_has_nothing_to_clean_up() -> None:
    given(started()).when(cancel()).then(Cancelled)


def test_what_is_parked_ends_at_once_because_no_worker_may_go_on() -> None:
    given(*HELD, parked()).when(cancel()).then(Cancelled)


def test_pending_approvals_are_withdrawn_with_the_request() -> None:
    history = (
        given(*HELD, requested("a"), requested("b"))
        .when(cancel())
        .then(CancellationRequested, ApprovalWithdrawn, ApprovalWithdrawn, Resumed)
    )

    assert history.state.state is ExecutionState.RESUMED
    history.when(grant(ordinal=1)).then_refused(RefusalCode.ALREADY_DECIDED)


def test_a_sleeping_worker_is_woken() -> None:
    history = given(*HELD, suspended()).when(cancel()).then(CancellationRequested)

    assert (history.state.asleep, history.state.workable) == (False, True)
    assert history.state.woken_version == history.state.version


def test_nothing_more_is_asked_or_redeemed() -> None:
    history = given(*ALLOWED).when(cancel()).then(CancellationRequested)

    for ask in (request("new"), redeem()):
        history.when(ask).then_refused(RefusalCode.INVALID_TRANSITION, "is being cancelled")


def test_a_redemption_from_before_is_still_a_repeat() -> None:
    given(*ALLOWED, redeemed(), cancellation_requested()).when(redeem()).then_repeated()


@pytest.mark.parametrize(
    ("ask", "event"),
    [
        (step("refund"), StepCompleted),
        (step("refund", error="no bank"), StepFailed),
        (set_timer(), TimerSet),
        (claim(worker="another"), Claimed),
    ],
)
def test_the_clean_up_does_steps_and_another_worker_may_take_it_over(ask: Ask, event: type) -> None:
    assert given(*CANCELLING).when(ask).then(event).state.cancelling


@pytest.mark.parametrize("waits", [suspend(), signal(), park()])
def test_a_clean_up_may_wait_and_may_be_parked(waits: Ask) -> None:
    assert given(*CANCELLING).when(waits).state.cancelling


@pytest.mark.parametrize("end", [complete(), complete(result="done"), end_cancellation()])
def test_any_end_of_the_clean_up_is_recorded_as_cancelled(end: Ask) -> None:
    history = given(*CANCELLING).when(end).then(Cancelled)

    assert history.state.state is ExecutionState.CANCELLED
    assert (history.state.error or "").startswith("too late")
    assert history.state.result is None
    assert history.state.cancel_requested_at is not None
    for again in (complete(), fail(), cancel(), end_cancellation()):
        history.when(again).then_repeated()


def test_a_clean_up_that_fails_is_recorded_with_its_error() -> None:
    reason = "too late; the clean-up failed: no bank"
    given(*CANCELLING).when(fail(error="no bank")).then(
        Cancelled(content=ReasonContent(reason=reason))
    )


def test_a_reason_stays_within_the_limit_of_a_text() -> None:
    history = given(*CANCELLING).when(fail(error="x" * 10_000)).then(Cancelled)

    assert len(history.state.error or "") == 10_000


def test_what_takes_too_long_ends_also_if_it_is_parked() -> None:
    reason = "too late; the clean-up took too long"
    history = given(*CANCELLING, parked())

    history.when(end_cancellation()).then(Cancelled(content=ReasonContent(reason=reason)))
    assert history.state.parked is None


def test_what_was_not_cancelled_is_not_ended_by_the_server() -> None:
    given(*HELD).when(end_cancellation()).then_refused(
        RefusalCode.INVALID_TRANSITION, "no cancellation"
    )


@pytest.mark.parametrize("role", Role)
def test_only_the_server_ends_a_clean_up(role: Role) -> None:
    given(*CANCELLING).when(end_cancellation(principal("someone", role))).then_refused(
        RefusalCode.FORBIDDEN
    )


def test_a_paused_clean_up_goes_on_when_it_is_unparked() -> None:
    history = given(*CANCELLING, parked()).when(unpark())

    history.when(step("refund")).then(StepCompleted)


@pytest.mark.parametrize(
    "ask",
    [complete(), fail(), end_cancellation()],
    ids=["at its end", "when it fails", "after its time"],
)
def test_what_was_redeemed_and_has_no_outcome_is_in_doubt(ask: Ask) -> None:
    history = given(*ALLOWED, redeemed(), cancellation_requested()).when(ask)

    history.then(StepFailed, Cancelled)
    assert history.state.steps["booking"].failures[-1][:2] == (1, IN_DOUBT)


def test_it_is_in_doubt_also_if_it_ends_at_once() -> None:
    under_way = (started(), claimed(), requested(), granted(), resumed(), redeemed())

    history = given(*under_way).when(cancel()).then(StepFailed, Cancelled)
    assert history.state.steps["booking"].error == IN_DOUBT


def test_an_attempt_from_before_the_redemption_is_no_outcome() -> None:
    before = (*ALLOWED, step_failed("booking"), redeemed(), cancellation_requested())

    history = given(*before).when(complete()).then(StepFailed, Cancelled)
    assert [each[0] for each in history.state.steps["booking"].failures] == [1, 2]


@pytest.mark.parametrize("outcome", [step_completed("booking"), step_failed("booking")])
def test_what_has_an_outcome_is_in_no_doubt(outcome: object) -> None:
    assert callable(outcome)
    given(*ALLOWED, redeemed(), outcome, cancellation_requested()).when(complete()).then(Cancelled)


def test_the_person_who_cancels_is_the_one_recorded() -> None:
    history = given(*HELD).when(cancel("adam"))

    assert history.log[-1].actor == named("adam").actor
