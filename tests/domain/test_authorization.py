"""Which role may send which command: every role, every command."""

import pytest

from domain.authorization import forbidden
from domain.execution.events import StepCompleted
from domain.refusals import RefusalCode
from domain.values import Principal, Role
from tests.domain.ask import (
    Asker,
    cancel,
    cancel_timer,
    claim,
    claim_approval,
    complete,
    fail,
    grant,
    park,
    redeem,
    reject,
    request,
    retract,
    retry,
    set_timer,
    signal,
    start,
    start_child,
    step,
    suspend,
    take_back,
    unclaim_approval,
    unpark,
    withdraw,
)
from tests.domain.facts import granted, requested, resumed, started
from tests.domain.people import principal
from tests.domain.scenario import given

OPERATOR, ENGINE, APPROVER = Role.OPERATOR, Role.ENGINE, Role.APPROVER
WORK = (
    claim,
    step,
    request,
    withdraw,
    redeem,
    set_timer,
    cancel_timer,
    start_child,
    suspend,
    complete,
    fail,
)
MAY: dict[Asker, set[Role]] = {
    start: {OPERATOR, ENGINE, Role.ADMIN},
    # An engine cancels children only, see tests/domain/execution/test_children.py.
    cancel: {OPERATOR, ENGINE, Role.ADMIN},
    retry: {OPERATOR, Role.ADMIN},
    park: {OPERATOR, ENGINE, Role.ADMIN},
    unpark: {OPERATOR, Role.ADMIN},
    signal: {OPERATOR, ENGINE, Role.ADMIN},
    grant: {APPROVER},
    reject: {APPROVER},
    **{ask: {ENGINE} for ask in WORK},
}
ASKS = list(MAY)
NAMES = [ask.__name__ for ask in ASKS]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("ask", ASKS, ids=NAMES)
def test_each_role_may_send_its_commands_and_no_other(ask: Asker, role: Role) -> None:
    command = ask(by=principal("someone", role, groups=("finance",)))(None)

    assert (forbidden(command) is None) == (role in MAY[ask])


@pytest.mark.parametrize("ask", ASKS, ids=NAMES)
def test_a_principal_without_a_role_may_send_nothing(ask: Asker) -> None:
    history = given(started(), requested())

    history.when(ask(by="nobody")).then_refused(RefusalCode.FORBIDDEN)
    assert history.state.version == 2


@pytest.mark.parametrize("ask", ASKS, ids=NAMES)
def test_the_reason_names_a_role(ask: Asker) -> None:
    reason = forbidden(ask(by="nobody")(None))

    assert reason is not None
    assert any(role in reason for role in MAY[ask])


@pytest.mark.parametrize(
    ("ask", "doing"),
    [
        (grant, "deciding an approval"),
        (retract, "taking back a decision"),
        (claim_approval, "claiming an approval"),
        (unclaim_approval, "giving up the claim of an approval"),
        (take_back, "taking back a delegation"),
    ],
)
def test_the_reason_says_what_needs_the_role_and_which_groups_were_held(
    ask: Asker, doing: str
) -> None:
    auditor = principal("audrey", Role.AUDITOR, groups=("legal", "finance"))

    given(started(), requested()).when(ask(by=auditor)).then_refused(
        RefusalCode.FORBIDDEN, f"{doing} needs the role APPROVER; groups held: finance, legal"
    )


@pytest.mark.parametrize("other", [role for role in Role if role is not ENGINE])
def test_an_engine_never_decides_whatever_other_role_it_has(other: Role) -> None:
    both = principal("both", ENGINE, APPROVER, other, groups=("finance",))

    for ask in (grant(by=both), reject(by=both)):
        given(started(), requested()).when(ask).then_refused(
            RefusalCode.FORBIDDEN, "is not for a token with the role ENGINE"
        )


def test_several_roles_add_up() -> None:
    both = principal("both", OPERATOR, APPROVER)

    assert forbidden(cancel(by=both)(None)) is None
    assert forbidden(grant(by=both)(None)) is None
    assert forbidden(step(by=both)(None)) is not None


def test_an_engine_starts_only_on_its_queues_and_an_operator_on_all() -> None:
    engine = principal("engine", ENGINE, queues=("trips",))

    given().when(start(engine, queue="other")).then_refused(RefusalCode.FORBIDDEN, "'other'")
    assert given().when(start(engine, queue="trips")).state.queue == "trips"
    both = principal("both", ENGINE, OPERATOR, queues=("trips",))
    assert given().when(start(both, queue="other")).state.queue == "other"


@pytest.mark.parametrize("ask", WORK, ids=[ask.__name__ for ask in WORK])
@pytest.mark.parametrize(
    "seer",
    [
        principal("seer", ENGINE, Role.AUDITOR, queues=("elsewhere",)),
        principal("seer", ENGINE, OPERATOR, queues=("elsewhere",)),
        principal("seer", ENGINE, Role.ADMIN, queues=()),
    ],
)
def test_an_engine_works_only_on_its_queues_also_where_it_sees_more(
    ask: Asker, seer: Principal
) -> None:
    given(started(), requested(), granted(), resumed()).when(ask(by=seer)).then_refused(
        RefusalCode.FORBIDDEN, "does not serve the queue"
    )


@pytest.mark.parametrize("ask", [withdraw, redeem])
def test_an_engine_that_sees_an_approval_as_approver_does_not_work_on_it(ask: Asker) -> None:
    both = principal("both", ENGINE, APPROVER, groups=("finance",), queues=("elsewhere",))

    given(started(), requested()).when(ask(by=both)).then_refused(
        RefusalCode.FORBIDDEN, "does not serve the queue"
    )


def test_without_a_list_of_queues_an_engine_serves_them_all() -> None:
    engine = principal("engine", ENGINE)

    given(started(queue="any")).when(step(by=engine)).then(StepCompleted)


@pytest.mark.parametrize("role", Role)
def test_only_a_worker_parks_under_a_fence(role: Role) -> None:
    command = park(by=principal("someone", role), fence=1)(None)

    assert (forbidden(command) is None) == (role is ENGINE)


def test_an_engine_parks_only_on_its_queues_and_an_operator_on_all() -> None:
    engine = principal("engine", ENGINE, Role.AUDITOR, queues=("elsewhere",))
    both = principal("both", ENGINE, OPERATOR, queues=("elsewhere",))

    given(started()).when(park(by=engine)).then_refused(RefusalCode.FORBIDDEN, "does not serve")
    given(started()).when(park(by=both, fence=1)).then_refused(
        RefusalCode.FORBIDDEN, "does not serve"
    )
    assert given(started()).when(park(by=both)).state.parked is not None
