"""What a person allows in advance: how it is created, bounded and revoked."""

from datetime import timedelta
from typing import Any

import pytest

from domain.aggregates import evolve as evolve_any
from domain.authorization import SERVICE
from domain.identifiers import ApprovalId
from domain.refusals import IllegalTransitionError, RefusalCode
from domain.standing_grants.commands import (
    MAX_LIFETIME,
    MAX_USES,
    ReturnStandingGrantUse,
    UseStandingGrant,
)
from domain.standing_grants.events import StandingGrantCreated, StandingGrantRevoked
from domain.standing_grants.evolve import evolve
from domain.standing_grants.state import StandingGrantStatus
from domain.values import Role
from tests.domain.ask import EXECUTION
from tests.domain.people import ANN, principal
from tests.domain.recording import NOON
from tests.domain.standing_grants.world import WEEK, World, allow, revoke

SOMETHING = ApprovalId(EXECUTION, 1)


def use(world: World, id_: Any, approval: ApprovalId = SOMETHING, asked: int = 2) -> Any:
    return world.do(
        UseStandingGrant(
            by=SERVICE, execution_id=id_, approval_id=approval, asked_version=asked, digest="d"
        )
    )


def test_who_may_decide_allows_in_advance() -> None:
    world = World()
    grant = world.grant(world.allow())

    assert (grant.by.id, grant.status(world.now)) == ("ann", StandingGrantStatus.ACTIVE)
    assert (grant.groups, grant.roles) == (("finance", "managers"), (Role.APPROVER,))


@pytest.mark.parametrize("who", ["olivia", "engine", "audrey", "adam", "nobody"])
def test_nobody_else_does(who: str) -> None:
    World().refuses(allow(who), RefusalCode.FORBIDDEN)


def test_a_machine_that_may_decide_does_not_allow_in_advance() -> None:
    machine = principal("robot", Role.APPROVER, Role.ENGINE)
    World().refuses(allow(machine), RefusalCode.FORBIDDEN, "ENGINE")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_uses": 0}, "maxUses"),
        ({"max_uses": MAX_USES + 1}, "maxUses"),
        ({"workflow": " "}, "workflow"),
        ({"key": ""}, "key"),
        ({"comment": ""}, "comment"),
        ({"payload_schema": {"type": "text"}}, "payloadSchema.type"),
        ({"payload_schema": {"$ref": "http://example.org"}}, "payloadSchema.$ref"),
        ({"expires_at": NOON}, "expiresAt"),
        ({"expires_at": NOON + MAX_LIFETIME + timedelta(seconds=1)}, "90 days"),
    ],
)
def test_what_is_wrong_with_it_is_named(wrong: dict[str, Any], said: str) -> None:
    World().refuses(allow(**wrong), RefusalCode.INVALID_INPUT, said)


def test_the_longest_is_ninety_days() -> None:
    world = World()
    world.allow(expires_at=world.now + MAX_LIFETIME)


def test_a_repeat_creates_nothing_and_other_content_needs_another_key() -> None:
    world = World()
    command = allow(now=world.now)
    world.do(command)

    assert world.do(command) == ()
    world.now += 2 * WEEK
    assert world.do(command) == (), "a repeat is not judged by its end"
    world.refuses(allow(now=NOON, max_uses=11), RefusalCode.KEY_REUSED, "allow-1")
    world.allow(called="allow-2", max_uses=11)
    assert len(world.streams) == 2


def test_each_person_has_keys_of_their_own() -> None:
    assert allow("ann").execution_id != allow("bob").execution_id


def test_it_is_used_as_often_as_it_says_and_no_more() -> None:
    world = World()
    id_ = world.allow(max_uses=2)

    use(world, id_, asked=2)
    assert use(world, id_, asked=2) == (), "a repeat takes no second use"
    use(world, id_, asked=3)
    assert world.grant(id_).status(world.now) is StandingGrantStatus.USED_UP
    command = UseStandingGrant(
        by=SERVICE, execution_id=id_, approval_id=SOMETHING, asked_version=4, digest="d"
    )
    world.refuses(command, RefusalCode.INVALID_TRANSITION, "USED_UP")


def test_a_use_that_is_given_back_can_be_taken_for_another_approval_only() -> None:
    world = World()
    id_ = world.allow(max_uses=1)
    use(world, id_)
    back = ReturnStandingGrantUse(
        by=SERVICE, execution_id=id_, approval_id=SOMETHING, asked_version=2, reason="late"
    )

    world.do(back)
    assert world.do(back) == ()
    assert (world.grant(id_).used, world.grant(id_).uses_that_count()) == (0, [])
    assert use(world, id_) == (), "what was given back is not taken again"
    use(world, id_, asked=9)
    assert world.grant(id_).used == 1


def test_it_ends_at_its_time() -> None:
    world = World()
    id_ = world.allow()
    world.now += WEEK

    assert world.grant(id_).status(world.now) is StandingGrantStatus.EXPIRED
    command = UseStandingGrant(
        by=SERVICE, execution_id=id_, approval_id=SOMETHING, asked_version=2, digest="d"
    )
    world.refuses(command, RefusalCode.INVALID_TRANSITION, "EXPIRED")


@pytest.mark.parametrize("who", ["ann", "olivia", "adam"])
def test_its_owner_an_operator_and_an_admin_revoke_it(who: str) -> None:
    world = World()
    id_ = world.allow()

    [revoked] = world.do(revoke(id_, who))

    assert isinstance(revoked, StandingGrantRevoked)
    grant = world.grant(id_)
    assert grant.status(world.now) is StandingGrantStatus.REVOKED
    assert grant.revoked_by is not None
    assert (grant.revoked_by.id, grant.revocation_reason) == (who, "enough")
    assert world.do(revoke(id_)) == ()
    command = UseStandingGrant(
        by=SERVICE, execution_id=id_, approval_id=SOMETHING, asked_version=2, digest="d"
    )
    world.refuses(command, RefusalCode.INVALID_TRANSITION, "REVOKED")


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("bob", RefusalCode.NOT_FOUND),
        ("engine", RefusalCode.NOT_FOUND),
        ("nobody", RefusalCode.NOT_FOUND),
        ("audrey", RefusalCode.FORBIDDEN),
    ],
)
def test_nobody_else_revokes_it_and_most_do_not_know_of_it(who: str, code: RefusalCode) -> None:
    world = World()
    world.refuses(revoke(world.allow(), who), code)


def test_only_the_server_takes_and_returns_uses() -> None:
    world = World()
    id_ = world.allow()
    take = UseStandingGrant(
        by=ANN, execution_id=id_, approval_id=SOMETHING, asked_version=2, digest="d"
    )
    back = ReturnStandingGrantUse(
        by=ANN, execution_id=id_, approval_id=SOMETHING, asked_version=2, reason="late"
    )
    world.refuses(take, RefusalCode.FORBIDDEN)
    world.refuses(back, RefusalCode.FORBIDDEN)


def test_an_execution_and_a_standing_grant_are_never_one_stream() -> None:
    world = World()
    id_ = world.allow()
    approval = world.request()
    created, started = world.log[0], world.log[1]

    with pytest.raises(IllegalTransitionError):
        evolve(world.grant(id_), created)
    with pytest.raises(IllegalTransitionError, match="another kind"):
        evolve_any(world.execution(approval.execution_id), created)
    with pytest.raises(IllegalTransitionError, match="another kind"):
        evolve_any(world.grant(id_), started)
    world.refuses(revoke(approval.execution_id, "adam"), RefusalCode.NOT_FOUND)
    assert isinstance(created.event, StandingGrantCreated)
