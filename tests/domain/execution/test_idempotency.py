"""A repeat finds where its command was first carried out, whatever happened since."""

import pytest

from domain.execution.idempotency import first_version
from tests.domain.ask import (
    Ask,
    cancel,
    claim,
    complete,
    fail,
    grant,
    redeem,
    reject,
    request,
    retry,
    start,
    step,
    withdraw,
)
from tests.domain.facts import (
    Fact,
    cancelled,
    completed,
    failed,
    granted,
    redeemed,
    rejected,
    requested,
    resumed,
    retried,
    started,
    step_completed,
    step_failed,
    withdrawn,
)
from tests.domain.scenario import given

LIFE = (
    started(),  # 1
    step_failed("book", attempt=1),  # 2
    step_failed("book", attempt=2),  # 3
    step_completed("book", attempt=3),  # 4
    requested("a"),  # 5
    requested("b"),  # 6
    requested("c"),  # 7
    granted("ann", ordinal=1),  # 8
    rejected("bob", ordinal=2),  # 9
    withdrawn(3),  # 10
    resumed(),  # 11
    redeemed(1),  # 12
    failed(),  # 13
    retried(),  # 14
    requested("b", round=2),  # 15
    withdrawn(4),  # 16
    resumed(),  # 17
)


@pytest.mark.parametrize(
    ("ask", "version"),
    [
        pytest.param(start(), 1, id="start"),
        pytest.param(step("book", error="no seat left"), 2, id="first failure"),
        pytest.param(step("book", attempt=2, error="no seat left"), 3, id="second failure"),
        pytest.param(step("book", attempt=3), 4, id="success"),
        pytest.param(step("book", attempt=9), 4, id="later success"),
        pytest.param(step("book", attempt=9, error="late"), 4, id="later failure"),
        pytest.param(request("a"), 5, id="request"),
        pytest.param(request("b"), 15, id="request of the latest round"),
        pytest.param(grant("ann", 1), 8, id="grant"),
        pytest.param(reject("bob", 2), 9, id="rejection"),
        pytest.param(withdraw(3), 10, id="withdrawal"),
        pytest.param(redeem(1), 12, id="redemption"),
        pytest.param(retry(expected_version=13), 14, id="retry"),
        pytest.param(withdraw(4), 16, id="withdrawal in the second round"),
    ],
)
def test_it_was_carried_out_at(ask: Ask, version: int) -> None:
    history = given(*LIFE)

    history.when(ask).then_repeated()

    assert first_version(history.state, ask(history.state)) == version


@pytest.mark.parametrize(
    ("ending", "ask"), [(completed(), complete()), (failed(), fail()), (cancelled(), cancel())]
)
def test_an_end_was_carried_out_by_its_last_event(ending: Fact, ask: Ask) -> None:
    history = given(started(), requested(), withdrawn(), resumed(), ending)

    assert first_version(history.state, ask(history.state)) == 5


@pytest.mark.parametrize("ask", [claim(), grant("bob")])
def test_what_is_no_repeat_has_no_first_time(ask: Ask) -> None:
    history = given(started(), requested())

    with pytest.raises(ValueError, match="is no repeat"):
        first_version(history.state, ask(history.state))
