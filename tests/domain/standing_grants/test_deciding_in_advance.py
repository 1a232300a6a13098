"""What is allowed in advance is decided when it is asked, in the name of who allowed it."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from domain.approvals.commands import Decide, DelegateApproval, RetractDecision
from domain.approvals.events import ApprovalGranted
from domain.approvals.policy import Policy
from domain.approvals.state import ApprovalStatus, Verdict
from domain.authorization import SERVICE
from domain.identifiers import ApprovalId
from domain.standing_grants.events import StandingGrantUsed, StandingGrantUseReturned
from domain.standing_grants.state import StandingGrantStatus
from domain.values import Principal, Role
from tests.domain.ask import needs, policy
from tests.domain.people import ANN, BOB, CLEO, principal
from tests.domain.standing_grants.world import WEEK, World, revoke

DORA = principal("dora", Role.APPROVER, groups=("finance", "legal"))
TWO = policy(needs("finance", count=2))
STAGES = policy(needs("finance"), needs("legal", stage=2))


def by_hand(approval: Any, by: Principal, **rest: Any) -> Decide:
    return Decide(
        by=by,
        execution_id=approval.id.execution_id,
        ordinal=approval.ordinal,
        verdict=Verdict.GRANTED,
        digest=approval.digest,
        **rest,
    )


def test_a_use_is_the_decision_of_the_person_by_the_server() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request()
    world.settle()

    approval = world.approval(asked)
    [decision] = approval.decisions
    assert approval.status is ApprovalStatus.GRANTED
    assert (decision.by.id, decision.standing_grant_id) == ("ann", id_)
    assert (decision.rule, decision.groups) == ("group:finance", ("finance", "managers"))
    [use] = world.grant(id_).uses_that_count()
    assert (use.approval_id, use.digest) == (asked, approval.digest)
    actors = {type(each.event): each.actor.id for each in world.log}
    assert actors[ApprovalGranted] == actors[StandingGrantUsed] == SERVICE.id


@pytest.mark.parametrize(
    "other",
    [
        {"workflow": "shopping"},
        {"key": "hotel"},
        {"payload": {"cost": 150.5}},
        {"payload": {"price": 5}},
        {"wanted": policy(needs("legal"))},
        {"wanted": policy(comment_required=True)},
        {"wanted": policy(acr_values=("phr",))},
        {"by": ANN},
    ],
    ids=["workflow", "key", "payload", "missing", "eligibility", "comment", "login", "four eyes"],
)
def test_what_it_does_not_cover_waits_for_people(other: dict[str, Any]) -> None:
    world = World()
    if isinstance(other.get("by"), Principal):
        other = {"by": principal("ann", Role.OPERATOR)}
    id_ = world.allow(key="permit")
    asked = world.request(**other)
    world.settle()

    assert world.approval(asked).pending
    assert world.grant(id_).used == 0


def test_with_a_key_it_covers_approvals_of_this_key_only() -> None:
    world = World()
    world.allow(key="hotel")
    trip, hotel = world.request("permit"), world.request("hotel")
    world.settle()
    assert world.approval(trip).pending
    assert not world.approval(hotel).pending


def test_what_was_asked_before_it_existed_waits_for_people() -> None:
    world = World()
    asked = world.request(wanted=policy(needs("legal"), needs("finance", stage=2)))
    id_ = world.allow()
    world.settle()
    world.do(by_hand(world.approval(asked), CLEO))
    world.settle()

    assert world.approval(asked).pending, "also in a stage that begins later"
    assert world.grant(id_).used == 0


def test_a_stage_that_begins_is_decided() -> None:
    world = World()
    world.allow("cleo")
    asked = world.request(wanted=STAGES)
    world.settle()
    assert world.approval(asked).decisions == ()

    world.do(by_hand(world.approval(asked), BOB))
    world.settle()

    assert [d.by.id for d in world.approval(asked).decisions] == ["bob", "cleo"]
    assert world.approval(asked).status is ApprovalStatus.GRANTED


def test_stages_are_decided_one_after_the_other() -> None:
    world = World()
    world.allow("cleo", "c")
    world.allow("ann", "a")
    asked = world.request(wanted=STAGES)
    world.settle()

    assert [(d.by.id, d.stage) for d in world.approval(asked).decisions] == [
        ("ann", 1),
        ("cleo", 2),
    ]


def test_each_person_counts_once_over_all_stages() -> None:
    world = World()
    id_ = world.allow(DORA)
    asked = world.request(wanted=STAGES)
    world.settle()

    assert [d.by.id for d in world.approval(asked).decisions] == ["dora"]
    assert world.grant(id_).used == 1


def test_no_more_is_used_than_the_policy_lacks() -> None:
    world = World()
    ids = [world.allow("ann"), world.allow("ann", "more"), world.allow("bob"), world.allow(DORA)]
    asked = world.request(wanted=TWO)
    world.settle()

    assert [d.by.id for d in world.approval(asked).decisions] == ["ann", "bob"]
    assert [world.grant(id_).used for id_ in ids] == [1, 0, 1, 0]


def test_it_can_be_part_of_a_quorum_with_a_decision_by_hand() -> None:
    world = World()
    world.allow("ann")
    asked = world.request(wanted=TWO)
    world.settle()
    assert world.approval(asked).pending

    world.do(by_hand(world.approval(asked), BOB))
    assert world.approval(asked).status is ApprovalStatus.GRANTED


def test_after_the_last_use_people_are_asked() -> None:
    world = World()
    id_ = world.allow(max_uses=2)
    asked = [world.request() for _ in range(3)]
    world.settle()

    assert [world.approval(each).pending for each in asked] == [False, False, True]
    assert world.grant(id_).status(world.now) is StandingGrantStatus.USED_UP


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_after_its_end_people_are_asked(end: str) -> None:
    world = World()
    id_ = world.allow()
    if end == "revoked":
        world.do(revoke(id_))
    else:
        world.now += WEEK
    asked = world.request()
    world.settle()

    assert world.approval(asked).pending


def test_what_was_asked_before_the_revocation_and_not_used_waits_for_people() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request()
    world.do(revoke(id_))
    world.settle()

    assert world.approval(asked).pending
    assert world.grant(id_).used == 0


def test_a_use_that_the_approval_refuses_is_given_back() -> None:
    world = World()
    id_ = world.allow(max_uses=1)
    asked = world.request()
    # The first step: the use is taken.
    world.handle_next()
    world.handle_next()
    world.handle_next()
    assert world.grant(id_).used == 1
    world.do(by_hand(world.approval(asked), ANN))

    world.settle()

    assert isinstance(world.log[-1].event, StandingGrantUseReturned)
    assert world.grant(id_).used == 0
    assert [d.standing_grant_id for d in world.approval(asked).decisions] == [None]


def test_who_has_handed_the_decision_over_does_not_decide_in_advance() -> None:
    world = World()
    id_ = world.allow(max_uses=1)
    asked = world.request()
    for _ in range(3):
        world.handle_next()
    world.do(DelegateApproval(by=ANN, execution_id=asked.execution_id, ordinal=1, to="cleo"))
    world.settle()

    assert world.approval(asked).pending
    assert world.grant(id_).used == 0


def test_nothing_is_decided_twice_however_often_the_steps_are_repeated() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request(wanted=TWO)
    world.settle()
    before = len(world.log)
    world.handled = 0
    world.settle()

    assert len(world.log) == before
    assert (len(world.approval(asked).decisions), world.grant(id_).used) == (1, 1)


def test_what_the_person_takes_back_stays_taken_back() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request(wanted=TWO)
    world.settle()
    world.do(RetractDecision(by=ANN, execution_id=asked.execution_id, ordinal=1))
    world.handled = 0
    world.settle()

    assert world.approval(asked).counting_decisions == []
    assert world.grant(id_).used == 1, "what was used stays used"


def test_it_is_matched_anew_with_an_amended_payload_and_uses_stay_used() -> None:
    world = World()
    id_ = world.allow()
    three = policy(needs("finance", count=3), amendable=True)
    asked = world.request(wanted=three, payload={"cost": 90})
    world.settle()
    world.do(by_hand(world.approval(asked), BOB, amended_payload={"cost": 80}))
    world.settle()

    first, bob, second = world.approval(asked).decisions
    assert (first.counts, bob.counts, second.counts) == (False, True, True)
    assert second.standing_grant_id == id_
    assert world.grant(id_).used == 2


def test_it_does_not_cover_what_was_amended_beyond_it() -> None:
    world = World()
    id_ = world.allow()
    three = policy(needs("finance", count=3), amendable=True)
    asked = world.request(wanted=three, payload={"cost": 90})
    world.settle()
    world.do(by_hand(world.approval(asked), BOB, amended_payload={"cost": 200}))
    world.settle()

    assert [each.counts for each in world.approval(asked).decisions] == [False, True]
    assert world.grant(id_).used == 1, "what was used stays used"


def test_the_groups_are_those_of_the_creation() -> None:
    world = World()
    id_ = world.allow(principal("ann", Role.APPROVER, groups=("gardeners",)))
    asked = world.request(wanted=Policy(requirements=(needs("gardeners"),)))
    world.settle()

    assert world.approval(asked).decisions[0].groups == ("gardeners",)
    assert world.grant(id_).used == 1


def test_an_end_between_request_and_use_counts() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request()
    world.now += WEEK - timedelta(milliseconds=3)
    world.settle()

    assert world.approval(asked).pending
    assert world.grant(id_).used == 0
    assert isinstance(asked, ApprovalId)


def test_what_an_amendment_made_of_the_payload_is_asked_anew() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request(wanted=replace(TWO, amendable=True), payload={"cost": 400})
    world.settle()
    assert world.approval(asked).decisions == ()

    world.do(by_hand(world.approval(asked), BOB, amended_payload={"cost": 100}))
    world.settle()

    approval = world.approval(asked)
    assert approval.status is ApprovalStatus.GRANTED
    assert [d.by.id for d in approval.decisions] == ["bob", "ann"]
    [use] = world.grant(id_).uses_that_count()
    assert use.digest == approval.digest


def test_a_use_taken_before_an_amendment_is_given_back() -> None:
    world = World()
    id_ = world.allow()
    asked = world.request(wanted=replace(TWO, amendable=True), payload={"cost": 100})
    taken = [command for each in world.log for command in world.commands(each)]
    for command in taken:
        world.do(command)
    world.do(by_hand(world.approval(asked), BOB, amended_payload={"cost": 400}))
    world.settle()

    assert [d.by.id for d in world.approval(asked).decisions] == ["bob"]
    assert world.grant(id_).used == 0
