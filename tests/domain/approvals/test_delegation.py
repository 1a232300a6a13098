"""A person hands the right to decide to another, who decides in their place."""

from typing import Any

import pytest

from domain.approvals.events import (
    ApprovalDelegated,
    ApprovalGranted,
    DelegationTakenBack,
)
from domain.approvals.quorum import outstanding
from domain.execution.events import (
    Resumed,
)
from domain.execution.idempotency import first_version
from domain.refusals import RefusalCode
from domain.values import Role
from tests.domain.ask import delegate, grant, needs, policy, request, start, take_back, withdraw
from tests.domain.people import ANN, BOB, approver, principal
from tests.domain.scenario import Given, given

DORA = approver("dora")
EVAN = approver("evan")
FRED = approver("fred")


def waiting(*requirements: Any, **rest: Any) -> Given:
    asked = policy(*(requirements or (needs("finance"),)), **rest)
    return given().when(start()).when(request(policy=asked))


def test_the_delegate_decides_in_the_place_of_the_delegator() -> None:
    history = waiting()
    history.when(grant(DORA)).then_refused(RefusalCode.NOT_FOUND)

    handed = history.when(delegate("dora", comment="I am away")).then(ApprovalDelegated)
    done = handed.when(grant(DORA)).then(ApprovalGranted, Resumed)

    [decision] = done.approval(1).decisions
    assert decision.by.id == "dora"
    assert decision.on_behalf_of is not None
    assert (decision.on_behalf_of.id, decision.rule) == ("ann", "group:finance")
    assert decision.groups == ("finance", "managers")


def test_the_delegator_does_not_decide_until_it_is_taken_back() -> None:
    history = waiting().when(delegate("dora")).then(ApprovalDelegated)
    history.when(grant("ann")).then_refused(RefusalCode.NOT_ELIGIBLE, "handed the decision to dora")

    back = history.when(take_back()).then(DelegationTakenBack)
    back.when(grant(DORA)).then_refused(RefusalCode.NOT_FOUND)
    back.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_the_place_counts_once() -> None:
    history: Given = waiting(needs("finance", count=2)).when(delegate("dora"))

    history = history.when(grant(DORA)).then(ApprovalGranted)

    assert outstanding(history.approval(1))[0].count == 1
    history.when(grant("ann")).then_refused(RefusalCode.NOT_ELIGIBLE)
    history.when(grant("bob")).then(ApprovalGranted, Resumed)


def test_who_is_eligible_anyway_decides_in_their_own_right() -> None:
    history = waiting(needs("finance", count=2)).when(delegate("bob")).then(ApprovalDelegated)

    history = history.when(grant("bob")).then(ApprovalGranted)

    [decision] = history.approval(1).decisions
    assert decision.on_behalf_of is None
    assert outstanding(history.approval(1))[0].count == 1


def test_a_named_user_is_represented_too() -> None:
    history = waiting(needs(users=("ann",))).when(delegate("dora")).then(ApprovalDelegated)

    done = history.when(grant(DORA)).then(ApprovalGranted, Resumed)
    assert done.approval(1).decisions[0].rule == "user:ann"


def test_the_right_is_passed_on_three_times_at_most() -> None:
    history: Given = waiting().when(delegate("dora")).when(delegate("evan", DORA))
    history = history.when(delegate("fred", EVAN)).then(ApprovalDelegated)

    history.when(delegate("gina", FRED)).then_refused(RefusalCode.INVALID_INPUT, "3 times")
    done = history.when(grant(FRED)).then(ApprovalGranted, Resumed)
    behalf = done.approval(1).decisions[0].on_behalf_of
    assert behalf is not None
    assert behalf.id == "ann"


def test_taking_back_ends_all_that_was_passed_on() -> None:
    history = waiting().when(delegate("dora")).when(delegate("evan", DORA))

    back = history.when(take_back()).then(DelegationTakenBack)

    back.when(grant(EVAN)).then_refused(RefusalCode.NOT_FOUND)
    back.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_nothing_is_taken_back_once_it_was_used() -> None:
    history = waiting(needs("finance", count=2)).when(delegate("dora")).when(grant(DORA))

    history.when(take_back()).then_refused(RefusalCode.ALREADY_DECIDED, "in the place of ann")


@pytest.mark.parametrize(
    ("by", "to", "code", "word"),
    [
        (ANN, "ann", RefusalCode.INVALID_INPUT, "who delegates"),
        (ANN, "Ann ", RefusalCode.INVALID_INPUT, "who delegates"),
        (ANN, "olivia", RefusalCode.INVALID_INPUT, "started the execution"),
        (ANN, "engine", RefusalCode.INVALID_INPUT, "requested the approval"),
        (ANN, " ", RefusalCode.INVALID_INPUT, "to must not be empty"),
        (approver("stranger", "gardeners"), "dora", RefusalCode.NOT_FOUND, "no approval"),
        (principal("audrey", Role.AUDITOR), "dora", RefusalCode.FORBIDDEN, "APPROVER"),
    ],
)
def test_to_whom_it_can_not_be_handed(by: Any, to: str, code: RefusalCode, word: str) -> None:
    waiting().when(delegate(to, by)).then_refused(code, word)


def test_for_whom_it_was_started_is_no_delegate() -> None:
    history = given().when(start(on_behalf_of="gina")).when(request())

    history.when(delegate("gina")).then_refused(RefusalCode.INVALID_INPUT, "on behalf of")


def test_no_circle() -> None:
    history = waiting().when(delegate("dora")).when(delegate("evan", DORA))

    history.when(delegate("ann", EVAN)).then_refused(RefusalCode.INVALID_INPUT, "take it back")


def test_who_sees_it_but_is_not_asked_does_not_delegate() -> None:
    wanted = (needs("finance"), needs("legal", stage=2))

    waiting(*wanted).when(delegate("dora", "cleo")).then_refused(RefusalCode.NOT_ELIGIBLE)


def test_the_same_again_is_a_repeat_and_another_is_not() -> None:
    history = waiting().when(delegate("dora")).then(ApprovalDelegated)

    history.when(delegate("dora")).then_repeated()
    assert first_version(history.state, delegate("dora")(history.state)) == history.state.version
    history.when(delegate("evan")).then_refused(RefusalCode.INVALID_TRANSITION, "take that back")
    back = history.when(take_back()).then(DelegationTakenBack)
    back.when(take_back()).then_repeated()
    back.when(delegate("evan")).then(ApprovalDelegated)


def test_nothing_to_take_back_or_too_late() -> None:
    waiting().when(take_back("bob")).then_refused(RefusalCode.INVALID_TRANSITION)
    ended = waiting().when(delegate("dora")).when(withdraw())
    ended.when(take_back()).then_refused(RefusalCode.ALREADY_DECIDED)


def test_who_has_decided_hands_nothing_over() -> None:
    history = waiting(needs("finance", count=2)).when(grant("ann"))

    history.when(delegate("dora")).then_refused(RefusalCode.ALREADY_DECIDED)
    history.when(delegate("ann", "bob")).then_refused(RefusalCode.INVALID_INPUT, "already decided")


def test_a_delegation_wakes_nobody() -> None:
    history = waiting()
    before = (history.state.state, history.state.woken_version)

    handed = history.when(delegate("dora", BOB))
    assert (handed.state.state, handed.state.woken_version) == before


def test_no_circle_among_those_who_are_asked_anyway() -> None:
    gina = approver("gina", "finance")
    history = waiting().when(delegate("bob")).when(delegate("gina", "bob"))

    history.when(delegate("ann", gina)).then_refused(RefusalCode.INVALID_INPUT, "take it back")


def test_what_two_people_handed_over_is_passed_on_without_a_circle() -> None:
    history: Given = waiting().when(delegate("evan", "bob")).when(delegate("dora"))
    history = history.when(delegate("evan", DORA)).then(ApprovalDelegated)

    history.when(delegate("dora", EVAN)).then_refused(RefusalCode.INVALID_INPUT, "take it back")


def test_a_place_that_was_taken_back_hides_no_other() -> None:
    history: Given = waiting().when(delegate("dora")).when(delegate("evan", DORA))
    history = history.when(take_back()).when(delegate("evan", "bob")).then(ApprovalDelegated)

    done = history.when(grant(EVAN)).then(ApprovalGranted, Resumed)
    behalf = done.approval(1).decisions[0].on_behalf_of
    assert behalf is not None
    assert behalf.id == "bob"


def test_what_is_passed_on_is_one_place_and_not_the_next_that_comes() -> None:
    history: Given = waiting().when(delegate("dora")).when(delegate("evan", DORA))
    history = history.when(take_back()).when(delegate("dora", "bob")).then(ApprovalDelegated)

    history.when(grant(EVAN)).then_refused(RefusalCode.NOT_FOUND)
    history.when(grant(DORA)).then(ApprovalGranted, Resumed)


def test_who_is_asked_in_a_later_stage_stands_in_for_somebody_in_this_one() -> None:
    stages = (needs("finance"), needs("legal", stage=2))
    history = waiting(*stages).when(delegate("cleo")).then(ApprovalDelegated)

    history = history.when(grant("cleo")).then(ApprovalGranted)

    [decision] = history.approval(1).decisions
    assert decision.on_behalf_of is not None
    assert (decision.on_behalf_of.id, decision.stage) == ("ann", 1)


def test_of_several_places_the_one_that_is_asked_counts() -> None:
    stages = (needs("finance"), needs("legal", stage=2))
    history: Given = waiting(*stages).when(delegate("dora")).when(grant("bob"))
    history = history.when(delegate("dora", "cleo")).then(ApprovalDelegated)

    done = history.when(grant(DORA)).then(ApprovalGranted, Resumed)
    behalf = done.approval(1).decisions[-1].on_behalf_of
    assert behalf is not None
    assert behalf.id == "cleo"


def test_another_spelling_of_the_delegator_is_barred_as_the_delegator_is() -> None:
    history = waiting(needs("finance", count=2)).when(delegate("dora")).when(grant(DORA))

    history.when(grant(approver("ANN", "finance"))).then_refused(RefusalCode.NOT_ELIGIBLE)
