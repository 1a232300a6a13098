"""For callers who may not see an execution or approval, it does not exist."""

import pytest

from domain.authorization import sees_all, sees_approval, sees_execution, sees_queue
from domain.refusals import RefusalCode
from domain.values import Principal, Role
from tests.domain.ask import (
    EXECUTION,
    Asker,
    claim,
    complete,
    fail,
    grant,
    needs,
    policy,
    redeem,
    reject,
    request,
    step,
    withdraw,
)
from tests.domain.facts import granted, requested, resumed, started
from tests.domain.people import (
    ADAM,
    ANN,
    AUDREY,
    CLEO,
    ENGINE,
    NOBODY,
    OLIVIA,
    OTHER_ENGINE,
    STRANGER,
    approver,
    principal,
)
from tests.domain.scenario import given

APPROVAL = f"no approval {EXECUTION}.1"


@pytest.mark.parametrize(
    ("who", "everything", "execution", "approval"),
    [
        (OLIVIA, True, True, True),
        (AUDREY, True, True, True),
        (ADAM, True, True, True),
        (ENGINE, False, True, True),
        (OTHER_ENGINE, False, False, False),
        (ANN, False, False, True),
        (CLEO, False, False, False),
        (NOBODY, False, False, False),
    ],
    ids=lambda value: value.id if isinstance(value, Principal) else "",
)
def test_who_sees_what(
    who: Principal, *, everything: bool, execution: bool, approval: bool
) -> None:
    history = given(started(), requested())

    assert sees_all(who) is everything
    assert sees_execution(who, history.state) is execution
    assert sees_queue(who, "default") is execution
    assert sees_approval(who, history.state, history.approval(1)) is approval


def test_a_group_without_the_role_shows_nothing() -> None:
    history = given(started(), requested())
    member = principal("member", groups=("finance",))

    assert not sees_approval(member, history.state, history.approval(1))


def test_who_is_named_sees_the_approval() -> None:
    history = given(started(), requested(policy=policy(needs(users=("cleo",)))))

    assert sees_approval(CLEO, history.state, history.approval(1))
    assert not sees_approval(ANN, history.state, history.approval(1))


def test_who_has_decided_still_sees_the_approval_without_the_group() -> None:
    history = given(started(), requested(), granted("ann"), resumed())
    moved_on = approver("ann", "gardeners")

    assert sees_approval(moved_on, history.state, history.approval(1))
    history.when(grant(by=moved_on)).then_repeated()


def test_who_may_decide_one_approval_does_not_see_the_others_of_the_execution() -> None:
    history = given(started(), requested("a"), requested("b", policy=policy(needs("legal"))))

    assert sees_approval(ANN, history.state, history.approval(1))
    assert not sees_approval(ANN, history.state, history.approval(2))
    history.when(grant(by=ANN, ordinal=2)).then_refused(RefusalCode.NOT_FOUND)


@pytest.mark.parametrize("ask", [grant, reject])
def test_deciding_what_one_may_not_see_is_not_found(ask: Asker) -> None:
    history = given(started(), requested())

    unseen = history.when(ask(by=STRANGER)).then_refused(RefusalCode.NOT_FOUND, APPROVAL)
    given().when(ask(by=STRANGER)).then_refused(RefusalCode.NOT_FOUND, APPROVAL)
    given(started()).when(ask(by=STRANGER)).then_refused(RefusalCode.NOT_FOUND, APPROVAL)
    assert unseen.state.version == 2


@pytest.mark.parametrize("ask", [claim, step, request, complete, fail])
def test_work_on_another_queue_is_not_found(ask: Asker) -> None:
    given(started()).when(ask(by=OTHER_ENGINE)).then_refused(
        RefusalCode.NOT_FOUND, f"no execution {EXECUTION}"
    )


@pytest.mark.parametrize("ask", [withdraw, redeem])
def test_an_approval_on_another_queue_is_not_found(ask: Asker) -> None:
    given(started(), requested()).when(ask(by=OTHER_ENGINE)).then_refused(
        RefusalCode.NOT_FOUND, APPROVAL
    )


def test_an_unknown_and_a_hidden_execution_give_the_same_refusal() -> None:
    missing = given().when(step(by=OTHER_ENGINE))
    hidden = given(started()).when(step(by=OTHER_ENGINE))

    missing.then_refused(RefusalCode.NOT_FOUND, f"no execution {EXECUTION}")
    hidden.then_refused(RefusalCode.NOT_FOUND, f"no execution {EXECUTION}")


def test_an_approver_of_all_groups_sees_no_execution() -> None:
    everywhere = principal("everywhere", Role.APPROVER, groups=("finance", "legal"))
    history = given(started(), requested())

    assert not sees_execution(everywhere, history.state)
