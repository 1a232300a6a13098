"""A substitute decides in the place of an absent person."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain.approvals import eligibility
from domain.approvals.asking import asked_at
from domain.approvals.events import ApprovalGranted, ApprovalRejected, DecisionRetracted
from domain.approvals.quorum import outstanding
from domain.approvals.simulation import simulate
from domain.approvals.state import ApprovalStatus
from domain.authorization import sees_approval
from domain.execution.events import Resumed
from domain.refusals import RefusalCode
from domain.values import Absence, Principal, SubstitutionRef
from tests.domain.ask import (
    delegate,
    grant,
    needs,
    policy,
    reject,
    request,
    retract,
    start,
    take_back,
)
from tests.domain.people import ANN, BOB, approver
from tests.domain.recording import NOON
from tests.domain.scenario import Given, given

ANN_AWAY = Absence(
    id="ann", name="Ann", groups=frozenset({"finance", "managers"}), since=NOON, number=3
)
HOUR = timedelta(hours=1)


def for_(*absences: Absence, name: str = "dora", groups: tuple[str, ...] = ()) -> Principal:
    return replace(approver(name, *groups), stands_in_for=absences)


def away(name: str, *groups: str, **rest: Any) -> Absence:
    return Absence(id=name, groups=frozenset(groups or ("finance",)), **rest)


DORA = for_(ANN_AWAY)
EVAN = for_(ANN_AWAY, name="evan")


def waiting(*requirements: Any, started: Any = None, **rest: Any) -> Given:
    asked = policy(*(requirements or (needs("finance"),)), **rest)
    return given().when(started or start()).when(request(policy=asked))


def test_the_substitute_decides_in_the_place_of_the_absent_person() -> None:
    done = waiting().when(grant(DORA)).then(ApprovalGranted, Resumed)

    [decision] = done.approval(1).decisions
    assert decision.on_behalf_of == ANN.actor
    assert (decision.by.id, decision.rule) == ("dora", "group:finance")
    assert decision.groups == ("finance", "managers")
    assert decision.substitution == SubstitutionRef(number=3, since=NOON)
    assert eligibility.explanation(decision) == (
        "in the place of ann, as their substitute: ann is a member of finance, which the policy "
        "asks, in stage 1; groups held: finance, managers"
    )
    assert asked_at(done.approval(1), decision) == done.approval(1).requested_at


def test_without_a_substitution_the_approval_is_not_there_for_them() -> None:
    history = waiting()

    history.when(grant(approver("dora"))).then_refused(RefusalCode.NOT_FOUND)
    assert sees_approval(DORA, history.state, history.approval(1))
    history.when(grant(for_(away("ann", "gardeners")))).then_refused(RefusalCode.NOT_FOUND)


@pytest.mark.parametrize(
    ("since", "until", "allowed"),
    [
        (-HOUR, HOUR, True),
        (timedelta(0), None, True),
        (timedelta(microseconds=1), None, False),
        (None, timedelta(microseconds=1), True),
        (None, timedelta(0), False),
    ],
)
def test_it_is_in_force_from_its_beginning_until_before_its_end(
    since: timedelta | None, until: timedelta | None, *, allowed: bool
) -> None:
    history = waiting()
    now = history.now
    absence = away(
        "ann",
        since=None if since is None else now + since,
        until=None if until is None else now + until,
    )

    asked = history.when(grant(for_(absence)))

    assert (asked.refusal is None) is allowed
    if not allowed:
        asked.then_refused(RefusalCode.NOT_FOUND)


def test_the_absent_person_and_all_their_substitutes_are_one() -> None:
    history = waiting(needs("finance", count=2)).when(grant(DORA)).then(ApprovalGranted)

    assert outstanding(history.approval(1))[0].count == 1
    history.when(grant("ann")).then_refused(
        RefusalCode.ALREADY_DECIDED, "dora already decided approval"
    )
    history.when(grant(EVAN)).then_refused(
        RefusalCode.NOT_ELIGIBLE, "dora already decided in the place of ann"
    )
    history.when(grant("bob")).then(ApprovalGranted, Resumed)


def test_two_refusals_for_one_person_are_one() -> None:
    history = waiting(rejections=2).when(reject(DORA)).then(ApprovalRejected)

    history.when(reject("ann")).then_refused(RefusalCode.ALREADY_DECIDED)
    history.when(reject(EVAN)).then_refused(RefusalCode.NOT_ELIGIBLE)


def test_who_decided_is_not_decided_for() -> None:
    history = waiting(needs("finance", count=2)).when(grant("ann")).then(ApprovalGranted)

    history.when(grant(DORA)).then_refused(RefusalCode.NOT_ELIGIBLE, "ann already decided")


def test_what_a_substitute_took_back_is_free_again() -> None:
    for by in (ANN, EVAN):
        history = waiting(needs("finance", count=2)).when(grant(DORA))

        free = history.when(retract(DORA)).then(DecisionRetracted)

        free.when(grant(by)).then(ApprovalGranted)


def test_who_is_eligible_anyway_decides_in_their_own_right_and_once() -> None:
    bob = for_(ANN_AWAY, name="bob", groups=("finance",))
    history = waiting(needs("finance", count=2)).when(grant(bob)).then(ApprovalGranted)

    [decision] = history.approval(1).decisions
    assert (decision.on_behalf_of, decision.substitution) == (None, None)
    history.when(grant(bob)).then_repeated()
    history.when(reject(bob)).then_refused(RefusalCode.ALREADY_DECIDED)
    history.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_a_substitute_of_many_takes_one_place() -> None:
    both = for_(ANN_AWAY, away("bob"))
    history = waiting(needs("finance", count=3)).when(grant(both)).then(ApprovalGranted)

    assert outstanding(history.approval(1))[0].count == 2
    history.when(grant("ann")).then_refused(RefusalCode.ALREADY_DECIDED)
    history.when(grant("bob")).then(ApprovalGranted)


def test_if_one_absent_person_decided_the_place_of_another_is_taken() -> None:
    both = for_(ANN_AWAY, away("bob"))
    history = waiting(needs("finance", count=2)).when(grant("ann"))

    done = history.when(grant(both)).then(ApprovalGranted, Resumed)

    behalf = done.approval(1).decisions[-1].on_behalf_of
    assert behalf is not None
    assert behalf.id == "bob"


@pytest.mark.parametrize(
    ("by", "started", "saying"),
    [
        (for_(away("olivia")), start(), "olivia started the execution"),
        (for_(ANN_AWAY), start(on_behalf_of="ann"), "started on behalf of ann"),
        (for_(ANN_AWAY), start(on_behalf_of="ANN"), "started on behalf of ann"),
        (for_(ANN_AWAY, name="Olivia"), start(), "this person started the execution"),
        (for_(ANN_AWAY, name="dora"), start(on_behalf_of="dora"), "on behalf of this person"),
        (for_(ANN_AWAY, name="engine"), start(), "this person requested the approval"),
        (for_(away("engine")), start(), "engine requested the approval"),
    ],
)
def test_four_eyes_hold_for_both(by: Principal, started: Any, saying: str) -> None:
    wanted = (needs("finance", users=("olivia", "engine")),)

    waiting(*wanted, started=started).when(grant(by)).then_refused(RefusalCode.NOT_ELIGIBLE, saying)


def test_nobody_stands_in_for_themselves() -> None:
    assert for_(away("Dora"), ANN_AWAY, name="dora").stands_in_for == (ANN_AWAY,)


def test_the_place_of_another_is_free_if_four_eyes_bar_one() -> None:
    both = for_(away("olivia"), ANN_AWAY)

    done = waiting().when(grant(both)).then(ApprovalGranted, Resumed)

    behalf = done.approval(1).decisions[0].on_behalf_of
    assert behalf is not None
    assert behalf.id == "ann"


def test_a_policy_that_lifts_four_eyes_lifts_them_for_substitutes() -> None:
    history = waiting(allow_initiator=True, started=start(on_behalf_of="ann"))

    history.when(grant(DORA)).then(ApprovalGranted, Resumed)


def test_a_named_user_is_represented_unless_the_substitution_is_for_groups_only() -> None:
    history = waiting(needs(users=("ann",)))
    only = for_(away("ann", "finance", only_groups=True))

    history.when(grant(only)).then_refused(RefusalCode.NOT_FOUND)
    done = history.when(grant(DORA)).then(ApprovalGranted, Resumed)
    assert done.approval(1).decisions[0].rule == "user:ann"


def test_a_substitution_for_one_group_does_not_meet_what_names_the_person() -> None:
    only = for_(away("ann", "finance", only_groups=True))
    history = waiting(needs(users=("ann",)), needs("finance"))

    history = history.when(grant(only)).then(ApprovalGranted)

    assert [r.users for r in outstanding(history.approval(1))] == [("ann",)]
    history.when(grant("ann")).then_refused(RefusalCode.ALREADY_DECIDED)


def test_who_was_handed_the_decision_goes_before_a_substitute() -> None:
    history = waiting().when(delegate("fred"))

    history.when(grant(DORA)).then_refused(
        RefusalCode.NOT_ELIGIBLE, "ann handed the decision to fred"
    )
    history.when(take_back()).when(grant(DORA)).then(ApprovalGranted, Resumed)


def test_what_was_delegated_to_the_absent_person_is_not_covered() -> None:
    fred_away = for_(away("fred", "gardeners"))
    history = waiting().when(delegate("fred"))

    history.when(grant(fred_away)).then_refused(RefusalCode.NOT_FOUND)


def test_a_substitute_hands_the_decision_to_nobody() -> None:
    waiting().when(delegate("fred", DORA)).then_refused(
        RefusalCode.NOT_ELIGIBLE, "a substitute hands the decision to nobody"
    )


def test_nothing_is_delegated_to_whom_a_substitute_decided_for() -> None:
    history = waiting(needs("finance", count=2)).when(grant(DORA))

    history.when(delegate("ann", BOB)).then_refused(RefusalCode.INVALID_INPUT, "already decided")


def test_a_substitute_is_not_represented_in_turn_for_what_they_decided() -> None:
    fay = for_(away("dora"), name="fay")
    dora = replace(DORA, groups=frozenset({"finance"}))
    history = waiting(needs("finance", count=3)).when(grant(fay)).then(ApprovalGranted)

    history.when(grant(dora)).then_refused(RefusalCode.ALREADY_DECIDED, "fay already decided")


def test_a_substitute_is_asked_in_the_stage_of_the_absent_person() -> None:
    cleo = for_(ANN_AWAY, name="cleo", groups=("legal",))
    history = waiting(needs("finance"), needs("legal", stage=2))

    history = history.when(grant(cleo)).then(ApprovalGranted)

    [decision] = history.approval(1).decisions
    assert decision.on_behalf_of is not None
    assert (decision.on_behalf_of.id, decision.stage) == ("ann", 1)
    history.when(grant(approver("carl", "legal"))).then(ApprovalGranted, Resumed)


def test_another_policy_is_asked_for_both_people() -> None:
    wanted = (needs("finance"),)
    history = waiting(*wanted, allow_initiator=True, started=start("olivia", on_behalf_of="ann"))
    done = history.when(grant(DORA)).then(ApprovalGranted, Resumed)

    same = simulate(done.state, done.approval(1), policy(*wanted, allow_initiator=True))
    other = simulate(done.state, done.approval(1), policy(*wanted))

    assert same.status is ApprovalStatus.GRANTED
    assert other.status is ApprovalStatus.PENDING
    assert "four eyes" in other.reason
