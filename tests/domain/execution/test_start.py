"""Starting an execution, and starting it again."""

from uuid import UUID

import pytest

from domain.execution.events import Started, StartedContent
from domain.refusals import RefusalCode
from domain.values import Actor, ExecutionState, Label
from tests.domain.ask import EXECUTION, Ask, cancel, complete, start
from tests.domain.facts import cancelled, completed, started
from tests.domain.scenario import given

OTHER_ID = UUID("0190f1a6-0000-7000-8000-0000000000ff")


def test_an_execution_starts_running_with_all_that_was_said() -> None:
    ask = start(
        "olivia",
        workflow="travel",
        workflow_version="7",
        queue="trips",
        input={"to": "Eindhoven"},
        labels={"team": "maths", "cost": "low"},
        on_behalf_of="ann",
        key="trip-1",
    )
    labels = (Label(name="cost", value="low"), Label(name="team", value="maths"))
    outcome = (
        given()
        .when(ask)
        .then(
            Started(
                workflow="travel",
                workflow_version="7",
                queue="trips",
                key="trip-1",
                on_behalf_of="ann",
                content=StartedContent(input={"to": "Eindhoven"}, labels=labels),
            )
        )
    )

    state = outcome.state
    assert state.id == EXECUTION
    assert state.state is ExecutionState.RUNNING
    assert (state.version, state.fence, state.worker, state.pending) == (1, 0, None, 0)
    assert (state.workflow, state.workflow_version, state.queue) == ("travel", "7", "trips")
    assert (state.key, state.on_behalf_of, state.input) == ("trip-1", "ann", {"to": "Eindhoven"})
    assert state.labels == labels
    assert state.initiator == Actor(id="olivia", name="Olivia")
    assert state.started_at == state.updated_at == outcome.log[0].at


def test_labels_are_a_set_so_a_pair_given_twice_counts_once() -> None:
    twice = (Label(name="b", value="2"), Label(name="a", value="1"), Label(name="b", value="2"))

    outcome = given().when(start(labels=twice)).then(Started)

    assert outcome.state.labels == (Label(name="a", value="1"), Label(name="b", value="2"))


@pytest.mark.parametrize(
    "again",
    [
        start(key="k", input={"a": 1, "b": [2]}, labels={"x": "1", "y": "2"}),
        pytest.param(
            start(key="k", input={"b": [2], "a": 1}, labels={"x": "1", "y": "2"}),
            id="members in another order",
        ),
        pytest.param(
            start(key="k", input={"a": 1.0, "b": [2]}, labels={"x": "1", "y": "2"}),
            id="the same number written otherwise",
        ),
        pytest.param(
            start(key="k", input={"a": 1, "b": [2]}, labels={"y": "2", "x": "1"}),
            id="labels in another order",
        ),
        pytest.param(
            start(
                key="k",
                input={"a": 1, "b": [2]},
                labels={"x": "1", "y": "2"},
                execution_id=OTHER_ID,
            ),
            id="found by its key under a generated id",
        ),
        pytest.param(
            start(
                key="k",
                input={"a": 1, "b": [2]},
                labels={"x": "1", "y": "2"},
                given_id=str(EXECUTION),
            ),
            id="with the id that it has",
        ),
    ],
)
def test_starting_again_with_the_same_content_is_a_repeat(again: Ask) -> None:
    labels = (Label(name="x", value="1"), Label(name="y", value="2"))

    given(started(key="k", input={"a": 1, "b": [2]}, labels=labels)).when(again).then_repeated()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(start(workflow="other", key="k"), id="workflow"),
        pytest.param(start(workflow_version="2", key="k"), id="workflow version"),
        pytest.param(start(queue="other", key="k"), id="queue"),
        pytest.param(start(input=[], key="k"), id="input"),
        pytest.param(start(labels={"a": "1"}, key="k"), id="labels"),
        pytest.param(start(on_behalf_of="ann", key="k"), id="on behalf of"),
        pytest.param(start(key="other"), id="key"),
        pytest.param(start(), id="no key"),
        pytest.param(
            start(execution_id=OTHER_ID, given_id=str(OTHER_ID), key="k"), id="another given id"
        ),
        pytest.param(start("adam", key="k"), id="another initiator"),
    ],
)
def test_starting_again_with_other_content_is_key_reused(other: Ask) -> None:
    given(started(key="k")).when(other).then_refused(RefusalCode.KEY_REUSED, "other content")


def test_true_and_one_are_not_the_same_input() -> None:
    given(started(input=1)).when(start(input=True)).then_refused(RefusalCode.KEY_REUSED)


def test_a_start_is_a_repeat_whatever_became_of_the_execution() -> None:
    given(started(), completed()).when(start()).then_repeated()
    given(started(), cancelled()).when(start()).then_repeated()


@pytest.mark.parametrize("ask", [complete(), cancel()])
def test_nothing_but_a_start_is_possible_before_the_start(ask: Ask) -> None:
    given().when(ask).then_refused(RefusalCode.NOT_FOUND, f"no execution {EXECUTION}")
