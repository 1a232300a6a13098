"""The rules of input: each says which field breaks it, and nothing is recorded."""

from typing import Any
from uuid import UUID

import pytest

from domain import validation
from domain.approvals.events import (
    ApprovalRequested,
)
from domain.approvals.policy import Requirement
from domain.execution.commands import Command, StartExecution
from domain.execution.events import (
    Cancelled,
    Completed,
    Failed,
    Started,
    StepCompleted,
    StepFailed,
)
from domain.refusals import RefusalCode
from domain.values import Label
from tests.domain.ask import (
    EXECUTION,
    Ask,
    cancel,
    claim,
    complete,
    fail,
    grant,
    policy,
    redeem,
    reject,
    request,
    start,
    step,
    withdraw,
)
from tests.domain.facts import granted, requested, resumed, started
from tests.domain.people import OLIVIA
from tests.domain.scenario import given

NAME = "n" * validation.MAX_NAME
TEXT = "t" * validation.MAX_TEXT
TITLE = "t" * validation.MAX_TITLE
# A JSON text of n characters takes n bytes and its two quotes.
JSON = "j" * (validation.MAX_JSON_BYTES - 2)
LABELS = {f"l{i}": "v" for i in range(validation.MAX_LABELS)}


def problem(ask: Ask) -> str:
    command: Command = ask(given(started(), requested()).state)
    assert command.problem is not None, "the input breaks no rule"
    return command.problem


def asked(**requirement: Any) -> Ask:
    return request(policy=policy(Requirement(**requirement)))


NAMED_FIELDS = [
    pytest.param("workflow", lambda value: start(workflow=value), id="start: workflow"),
    pytest.param(
        "workflowVersion", lambda value: start(workflow_version=value), id="start: version"
    ),
    pytest.param("queue", lambda value: start(queue=value), id="start: queue"),
    pytest.param("onBehalfOf", lambda value: start(on_behalf_of=value), id="start: on behalf"),
    pytest.param("idempotencyKey", lambda value: start(key=value), id="start: key"),
    pytest.param("labels.0.name", lambda value: start(labels={value: ""}), id="start: label"),
    pytest.param("worker", lambda value: claim(worker=value), id="claim: worker"),
    pytest.param("key", lambda value: step(value, name="n"), id="step: key"),
    pytest.param("key", request, id="request: key"),
    pytest.param("digest", lambda value: grant(digest=value), id="grant: digest"),
    pytest.param("digest", lambda value: reject(digest=value), id="reject: digest"),
    pytest.param("payloadDigest", lambda value: redeem(digest=value), id="redeem: digest"),
    pytest.param("redemptionKey", lambda value: redeem(key=value), id="redeem: key"),
    pytest.param(
        "policy.requirements.0.groups.1",
        lambda value: asked(groups=("finance", value)),
        id="policy: group",
    ),
    pytest.param(
        "policy.requirements.0.users.0", lambda value: asked(users=(value,)), id="policy: user"
    ),
]
TEXT_FIELDS = [
    pytest.param("comment", lambda value: grant(comment=value), id="grant: comment"),
    pytest.param("comment", lambda value: reject(comment=value), id="reject: comment"),
    pytest.param("description", lambda value: request(description=value), id="description"),
    pytest.param("reason", lambda value: withdraw(reason=value), id="withdraw: reason"),
    pytest.param("reason", lambda value: cancel(reason=value), id="cancel: reason"),
    pytest.param("error", lambda value: fail(error=value), id="fail: error"),
    pytest.param("error", lambda value: step(error=value), id="step: error"),
]
REQUIRED_TEXT_FIELDS = [
    pytest.param("title", lambda value: request(title=value), id="title"),
    pytest.param("comment", lambda value: reject(comment=value), id="reject: comment"),
    *TEXT_FIELDS[3:],
]
JSON_FIELDS = [
    pytest.param("input", lambda value: start(input=value), id="start: input"),
    pytest.param("result", lambda value: step(result=value), id="step: result"),
    pytest.param("payload", lambda value: request(payload=value), id="request: payload"),
    pytest.param("result", lambda value: complete(result=value), id="complete: result"),
]


@pytest.mark.parametrize(("field", "ask"), NAMED_FIELDS)
@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        (NAME + "n", "has 201 characters, the limit is 200"),
        ("a\nb", "can't be printed"),
        ("a\x00b", "can't be printed"),
        ("a\u202eb", "can't be printed"),
        ("a\ud800b", "can't be printed"),
    ],
)
def test_a_name_is_short_and_printable(field: str, ask: Any, value: str, rule: str) -> None:
    assert problem(ask(value)).startswith(f"{field} ")
    assert rule in problem(ask(value))


@pytest.mark.parametrize(("field", "ask"), NAMED_FIELDS)
@pytest.mark.parametrize("value", [NAME, "a", "a b", "Zoë/预算:7.1", "\U0001f600" * 200])
def test_a_name_may_be_this(field: str, ask: Any, value: str) -> None:
    assert field
    assert ask(value)(given(started(), requested()).state).problem is None


def test_a_step_has_a_name_of_its_own() -> None:
    assert problem(step("key", name="x" * 201)).startswith("name has 201 characters")
    assert problem(step("key", name=" ")) == "name must not be empty"


@pytest.mark.parametrize(("field", "ask"), TEXT_FIELDS)
def test_a_text_has_a_limit(field: str, ask: Any) -> None:
    assert ask(TEXT)(given(started(), requested()).state).problem is None
    assert problem(ask(TEXT + "t")) == f"{field} has 10001 characters, the limit is 10000"


@pytest.mark.parametrize(("field", "ask"), [*TEXT_FIELDS, *REQUIRED_TEXT_FIELDS[:1]])
def test_a_text_has_only_valid_characters(field: str, ask: Any) -> None:
    assert problem(ask("a\x00b")) == f"{field} holds a NUL character"
    assert problem(ask("a\udc00b")).startswith(f"{field} holds U+DC00")


@pytest.mark.parametrize(("field", "ask"), REQUIRED_TEXT_FIELDS)
@pytest.mark.parametrize("value", ["", " \n\t"])
def test_a_required_text_says_something(field: str, ask: Any, value: str) -> None:
    assert problem(ask(value)).startswith(f"{field} must not be empty")


def test_a_title_has_a_limit_of_its_own() -> None:
    given(started()).when(request(title=TITLE)).then(ApprovalRequested)
    assert problem(request(title=TITLE + "t")) == "title has 501 characters, the limit is 500"


def test_a_rejection_says_why_and_a_grant_need_not() -> None:
    assert problem(reject(comment=None)) == "comment must not be empty: a rejection says why"
    assert grant(comment=None)(None).problem is None
    assert grant(comment="")(None).problem is None


@pytest.mark.parametrize(("field", "ask"), JSON_FIELDS)
def test_a_json_value_is_ijson_of_at_most_256_kib(field: str, ask: Any) -> None:
    size = validation.MAX_JSON_BYTES
    assert ask(JSON)(None).problem is None
    assert problem(ask(JSON + "j")) == f"{field} is {size + 1} bytes of JSON, the limit is {size}"
    assert problem(ask({"a": [float("nan")]})).startswith(f"{field}.a.0 is a number")
    assert problem(ask([2**53])).startswith(f"{field}.0 is a whole number beyond")
    assert problem(ask("\ud800")).startswith(f"{field} holds U+D800")


def test_the_limits_are_those_that_are_stated() -> None:
    assert (validation.MAX_JSON_BYTES, validation.MAX_TEXT, validation.MAX_NAME) == (
        262_144,
        10_000,
        200,
    )


def test_the_size_of_json_is_counted_in_bytes() -> None:
    half = "é" * (validation.MAX_JSON_BYTES // 2 - 1)

    assert start(input=half)(None).problem is None
    assert "bytes of JSON" in problem(start(input=half + "é"))


@pytest.mark.parametrize("given_id", ["", "7", str(EXECUTION).replace("-", ""), str(UUID(int=7))])
def test_a_chosen_id_is_a_uuid_and_the_one_of_the_execution(given_id: str) -> None:
    assert problem(start(given_id=given_id)).startswith("id must be a UUID")
    assert start(given_id=str(EXECUTION).upper())(None).problem is None


def test_an_attempt_is_counted_from_one() -> None:
    assert problem(step(attempt=0)) == "attempt is 0, it must be from 1 to 1000000"
    assert problem(step(attempt=-1)).startswith("attempt is -1")
    assert problem(step(attempt=1_000_001)).startswith("attempt is 1000001")
    assert step(attempt=1_000_000)(None).problem is None


def test_a_step_has_a_result_or_an_error() -> None:
    assert "exclude each other" in problem(step(result=0, error="e"))


def test_labels_are_few() -> None:
    given().when(start(labels=LABELS)).then(Started)
    assert problem(start(labels={**LABELS, "x": ""})) == "labels has 51 entries, the limit is 50"


def test_a_label_has_one_value() -> None:
    twice = (Label(name="a", value="1"), Label(name="a", value="2"))

    assert problem(start(labels=twice)) == "labels gives one name two values"


def test_the_value_of_a_label_is_short_and_may_be_empty() -> None:
    given().when(start(labels={"a": "v" * validation.MAX_LABEL_VALUE, "b": ""})).then(Started)
    assert problem(start(labels={"a": "", "b": "v" * 501})) == (
        "labels.1.value has 501 characters, the limit is 500"
    )
    assert problem(start(labels={"a": "\x00"})) == "labels.0.value holds a NUL character"


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (step(result=JSON), StepCompleted),
        (step(error=TEXT), StepFailed),
        (request(payload=JSON, title=TITLE, description=TEXT), ApprovalRequested),
        (complete(result=JSON), Completed),
        (fail(error=TEXT), Failed),
        (cancel(reason=TEXT), Cancelled),
    ],
)
def test_the_largest_inputs_are_recorded_and_read_back(ask: Ask, expected: Any) -> None:
    given(started()).when(ask).then(expected)


def test_a_broken_rule_records_nothing() -> None:
    history = given(started(), requested(), granted(), resumed())

    for ask in (start(workflow=""), step(attempt=0), redeem(key=""), fail(error="")):
        history.when(ask).then_refused(RefusalCode.INVALID_INPUT)
    assert history.state.version == 4


def test_a_problem_given_by_the_caller_is_ignored() -> None:
    fine = StartExecution(
        by=OLIVIA, execution_id=EXECUTION, workflow="w", problem="made up by the caller"
    )

    assert fine.problem is None
