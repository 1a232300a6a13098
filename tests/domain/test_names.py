"""One person or group under several spellings: what makes eligible, and what bars."""

import pytest
from msgspec.structs import replace

from domain.approvals import eligibility, quorum
from domain.approvals.events import (
    ApprovalGranted,
)
from domain.approvals.places import place_of
from domain.approvals.state import Decision, Verdict
from domain.execution.events import (
    Resumed,
)
from domain.names import folded, may_be_same_person, normal, same_name
from domain.refusals import RefusalCode
from domain.values import Actor, Principal, Role
from tests.domain.ask import grant, needs, policy, reject, request, start
from tests.domain.facts import granted, requested, started
from tests.domain.people import approver, principal
from tests.domain.recording import NOON
from tests.domain.scenario import given

NFC, NFD = "zo\u00eb", "zoe\u0308"
SAME = [f"{NFC} ", NFD, f"\t{NFD}"]
"""Other ways to write the name in NFC."""
OTHER_CASE = ["ZO\u00cb", "Zoe\u0308 "]


def by(name: str) -> Principal:
    return approver(name, "finance")


def test_a_name_is_trimmed_and_composed() -> None:
    assert {normal(name) for name in SAME} == {NFC}
    assert all(same_name(name, NFC) for name in SAME)
    assert not any(same_name(name, NFC) for name in OTHER_CASE)
    assert all(may_be_same_person(name, NFC) for name in (*SAME, *OTHER_CASE))
    assert folded("STRASSE") == folded("stra\u00dfe")
    assert not may_be_same_person(None, None)


def test_a_principal_has_normal_names_but_keeps_its_queues() -> None:
    built = principal(f"{NFD} ", Role.ENGINE, groups=(f"{NFD} ",), queues=(NFD,))
    assert (built.id, built.groups) == (NFC, frozenset({NFC}))
    assert built.queues == frozenset({NFD})


@pytest.mark.parametrize("name", [*SAME, *OTHER_CASE])
def test_no_spelling_lets_a_beneficiary_approve_his_own_request(name: str) -> None:
    given(started(on_behalf_of=name), requested()).when(grant(by=by(NFC))).then_refused(
        RefusalCode.NOT_ELIGIBLE, "on behalf of this person"
    )


@pytest.mark.parametrize("name", [*SAME, *OTHER_CASE])
def test_four_eyes_hold_for_names_as_old_events_have_them(name: str) -> None:
    state = given(started(), requested()).state
    approval = replace(state.approvals[1], requested_by=Actor(id=name))
    old = replace(state, initiator=Actor(id=name), on_behalf_of=name)
    assert len(list(eligibility.objections(by(NFC), old, approval))) == 3
    assert not list(eligibility.objections(by("zoe"), old, approval))


@pytest.mark.parametrize("name", SAME)
def test_a_group_or_user_is_named_in_any_normal_spelling(name: str) -> None:
    for asked, person in (
        (policy(needs(name)), approver("ann", NFC)),
        (policy(needs(NFC)), approver("ann", name)),
        (policy(needs(users=(name,))), by(NFC)),
    ):
        given(started(), requested(policy=asked)).when(grant(by=person)).then(
            ApprovalGranted, Resumed
        )


@pytest.mark.parametrize("name", OTHER_CASE)
def test_a_name_in_another_case_makes_nobody_eligible(name: str) -> None:
    waiting = given(started(), requested(policy=policy(needs(name, users=(name,)))))
    waiting.when(grant(by=approver(NFC, NFC))).then_refused(RefusalCode.NOT_FOUND)


@pytest.mark.parametrize("name", OTHER_CASE)
def test_a_person_in_another_case_does_not_decide_twice(name: str) -> None:
    two = policy(needs("finance", count=2))
    decided = given(started(), requested(policy=two), granted(by=by(NFC), resolves=False))
    for ask in (grant(by=by(name)), reject(by=by(name))):
        decided.when(ask).then_refused(RefusalCode.ALREADY_DECIDED, "differ only in case")
    decided.when(grant(by=by("ann"))).then(ApprovalGranted, Resumed)


@pytest.mark.parametrize("name", SAME)
def test_a_decision_in_another_normal_spelling_is_a_repeat(name: str) -> None:
    two = policy(needs("finance", count=2))
    decided = given(started(), requested(policy=two), granted(by=by(NFC), resolves=False))
    decided.when(grant(by=by(name))).then_repeated()


def test_decisions_that_were_recorded_under_two_spellings_count_once() -> None:
    two = policy(needs("finance", count=2))
    decisions = [_decision(NFC), _decision(OTHER_CASE[0])]
    [left] = quorum.missing(two, decisions)
    assert left.count == 1
    assert quorum.missing(two, [*decisions, _decision("ann")]) == ()


def test_a_start_and_a_request_in_another_spelling_are_repeats() -> None:
    given(started(on_behalf_of=NFD)).when(start(on_behalf_of=NFC)).then_repeated()
    given(started(), requested(policy=policy(needs(NFD)))).when(
        request(policy=policy(needs(f"{NFC} ")))
    ).then_repeated()


def test_a_new_start_records_the_normal_name_of_its_beneficiary() -> None:
    assert given().when(start(on_behalf_of=f"{NFD} ")).state.on_behalf_of == NFC


def test_a_decision_records_the_groups_in_their_normal_form() -> None:
    history = given(started(), requested(policy=policy(needs(NFD), needs("legal"))))
    approval = history.approval(1)
    person = approver("ann", NFC, "legal", "gardeners")
    assert eligibility.counted_groups(person, approval) == ("legal", NFC)
    place = place_of(person, history.state, approval)
    assert place is not None
    assert eligibility.rule_for(place, approval) == f"group:{NFC}"


def _decision(name: str) -> Decision:
    return Decision(
        verdict=Verdict.GRANTED,
        by=Actor(id=name),
        at=NOON,
        version=3,
        digest="",
        rule="",
        groups=("finance",),
    )
