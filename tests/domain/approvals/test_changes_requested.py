"""A request for changes counts as a refusal, and lets other content be asked under the key."""

from typing import Any

from domain.approvals.events import (
    ApprovalChangesRequested,
    ApprovalGranted,
    ApprovalRejected,
    ApprovalRequested,
)
from domain.approvals.state import ApprovalStatus, Verdict
from domain.execution.events import (
    Resumed,
)
from domain.refusals import RefusalCode
from tests.domain.ask import ask_changes, fail, grant, policy, reject, request, retry, start
from tests.domain.scenario import Given, given

TWO_REFUSALS = policy(rejections=2)


def waiting(**rest: Any) -> Given:
    return given().when(start()).when(request(**rest)).then(ApprovalRequested)


def test_one_request_for_changes_ends_the_approval_when_one_refusal_is_enough() -> None:
    ended = waiting().when(ask_changes("bob")).then(ApprovalChangesRequested, Resumed)

    approval = ended.approval(1)
    assert approval.status is ApprovalStatus.CHANGES_REQUESTED
    assert approval.decisions[0].verdict is Verdict.CHANGES_REQUESTED
    assert approval.decisions[0].comment == "take the train"


def test_a_request_for_changes_and_a_rejection_meet_the_threshold_together() -> None:
    for first, second, event in (
        (reject("ann"), ask_changes("bob"), ApprovalChangesRequested),
        (ask_changes("ann"), reject("bob"), ApprovalRejected),
    ):
        ended = waiting(policy=TWO_REFUSALS).when(first).when(second).then(event, Resumed)
        assert ended.approval(1).status is ApprovalStatus.CHANGES_REQUESTED


def test_rejections_alone_reject() -> None:
    ended = waiting(policy=TWO_REFUSALS).when(reject("ann")).when(reject("bob"))

    assert ended.approval(1).status is ApprovalStatus.REJECTED


def test_it_says_why() -> None:
    waiting().when(ask_changes(comment=" ")).then_refused(RefusalCode.INVALID_INPUT, "says why")


def test_other_content_opens_the_next_round_without_a_retry() -> None:
    history = waiting().when(ask_changes()).then(ApprovalChangesRequested, Resumed)

    asked = history.when(request(payload={"trip": "train"})).then(ApprovalRequested)

    assert (asked.approval(2).round, asked.approval(2).previous_round) == (2, 1)
    asked.when(grant("bob")).then(ApprovalGranted, Resumed)


def test_the_same_content_is_a_repeat_until_a_retry() -> None:
    history = waiting().when(ask_changes()).then(ApprovalChangesRequested, Resumed)

    history.when(request()).then_repeated()
    history.when(fail()).when(retry()).when(request()).then(ApprovalRequested)


def test_the_content_of_an_earlier_round_is_a_repeat_of_that_round() -> None:
    history = waiting().when(ask_changes()).when(request(payload=2)).then(ApprovalRequested)

    history.when(request()).then_repeated()
    history.when(request(payload=2)).then_repeated()
    history.when(request(payload=3)).then_refused(RefusalCode.KEY_REUSED)


def test_after_a_retry_what_an_earlier_round_asked_for_can_be_asked_for_again() -> None:
    history = waiting().when(ask_changes()).when(request(payload=2)).when(ask_changes(ordinal=2))

    again = history.when(fail()).when(retry()).when(request()).when(ask_changes(ordinal=3))

    asked = again.when(request(payload=2)).then(ApprovalRequested)
    assert (asked.approval(4).round, asked.approval(4).payload) == (4, 2)


def test_a_worker_learns_it_as_any_resolution() -> None:
    ended = waiting().when(ask_changes()).then(ApprovalChangesRequested, Resumed)

    assert ended.state.woken_version == ended.approval(1).resolved_version
