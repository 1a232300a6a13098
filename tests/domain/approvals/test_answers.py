"""Who grants an approval with a form answers it, and the answers fit."""

from typing import Any

import pytest

from domain.approvals.commands import Decide
from domain.approvals.events import ApprovalGranted, ApprovalRejected, ApprovalRequested
from domain.approvals.state import ApprovalStatus
from domain.execution.events import Resumed
from domain.refusals import RefusalCode
from tests.domain.ask import (
    ask_changes,
    delegate,
    grant,
    needs,
    policy,
    reject,
    request,
    retract,
    start,
)
from tests.domain.scenario import Given, given

INVALID = RefusalCode.INVALID_INPUT
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "risk": {"enum": ["low", "high"]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
        "address": {"$ref": "#/$defs/address"},
        "born": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "a/b": {"type": "string", "minLength": 2, "maxLength": 3},
        "days": {"type": "array", "items": {"enum": ["mon", "tue"]}, "uniqueItems": True},
        "none": False,
        "type": False,
        "choice": {"oneOf": [{"type": "string"}, {"minLength": 1}]},
    },
    "required": ["risk"],
    "additionalProperties": False,
    "dependentRequired": {"born": ["mail"]},
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["zip"],
        }
    },
}
LOW = {"risk": "low"}
TWO = policy(needs("finance", count=2))


def waiting(form: Any = FORM, **rest: Any) -> Given:
    return given().when(start()).when(request(form=form, **rest)).then(ApprovalRequested)


def test_a_grant_answers_the_form_and_the_answers_are_recorded_with_it() -> None:
    granted = waiting().when(grant("ann", answers=LOW)).then(ApprovalGranted, Resumed)

    assert granted.approval(1).status is ApprovalStatus.GRANTED
    assert granted.approval(1).decisions[0].answers == LOW


def test_a_grant_without_answers_is_refused_where_there_is_a_form() -> None:
    waiting().when(grant("ann")).then_refused(INVALID, "answers must be given: approval ")


def test_answers_without_a_form_are_refused() -> None:
    waiting(form=None).when(grant("ann", answers={})).then_refused(
        INVALID, "answers can't be given: approval "
    )


def test_who_refuses_or_asks_for_changes_answers_nothing() -> None:
    waiting().when(reject("ann")).then(ApprovalRejected, Resumed)
    for refusal in (reject("ann", answers=LOW), ask_changes("ann", answers=LOW)):
        waiting().when(refusal).then_refused(INVALID, "answers can be given with a grant only")


def test_each_of_several_gives_their_own_answers() -> None:
    first = waiting(policy=TWO).when(grant("ann", answers=LOW)).then(ApprovalGranted)
    granted = first.when(grant("bob", answers={"risk": "high"})).then(ApprovalGranted, Resumed)

    assert [d.answers for d in granted.approval(1).decisions] == [LOW, {"risk": "high"}]


def test_the_same_answers_are_a_repeat_and_others_are_refused() -> None:
    granted = waiting(policy=TWO).when(grant("ann", answers=LOW | {"limit": 1}))

    granted.when(grant("ann", answers={"limit": 1.0} | LOW)).then_repeated()
    granted.when(grant("ann", answers=LOW)).then_refused(
        RefusalCode.ALREADY_DECIDED, "with other answers"
    )
    granted.when(grant("ann")).then_refused(RefusalCode.ALREADY_DECIDED, "with other answers")


def test_a_key_is_for_one_set_of_answers() -> None:
    granted = waiting(policy=TWO).when(grant("ann", answers=LOW, key="first"))

    granted.when(grant("ann", answers=LOW, key="first")).then_repeated()
    granted.when(grant("ann", answers={"risk": "high"}, key="first")).then_refused(
        RefusalCode.KEY_REUSED
    )


def test_after_taking_a_grant_back_other_answers_can_be_given() -> None:
    taken_back = waiting(policy=TWO).when(grant("ann", answers=LOW)).when(retract("ann"))

    taken_back.when(grant("ann", answers={"risk": "high"})).then(ApprovalGranted)


def test_the_loser_of_a_race_hears_that_it_is_decided_and_not_that_the_answers_are_wrong() -> None:
    decided = waiting().when(reject("bob")).then(ApprovalRejected, Resumed)

    decided.when(grant("ann", answers={"risk": "none"})).then_refused(RefusalCode.ALREADY_DECIDED)
    waiting().when(grant("ann", answers={}, digest="sha256:old")).then_refused(
        RefusalCode.DIGEST_MISMATCH
    )
    theirs = given().when(start(on_behalf_of="ann")).when(request(form=FORM))
    theirs.when(grant("ann", answers={})).then_refused(RefusalCode.NOT_ELIGIBLE)


def test_a_delegate_answers_too() -> None:
    handed = waiting().when(delegate("cleo", "ann"))

    handed.when(grant("cleo")).then_refused(INVALID, "answers must be given")
    granted = handed.when(grant("cleo", answers=LOW)).then(ApprovalGranted, Resumed)
    assert granted.approval(1).decisions[0].answers == LOW


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({}, "answers/risk is missing"),
        ([], "answers must be an object"),
        ("x", "answers must be an object"),
        ({"risk": "none"}, "answers/risk must be one of low, high"),
        (LOW | {"limit": -1}, "answers/limit must be at least 0"),
        (LOW | {"limit": True}, "answers/limit must be a whole number"),
        (LOW | {"address": {}}, "answers/address/zip is missing"),
        (LOW | {"address": {"zip": "x"}}, "answers/address/zip must match the pattern ^[0-9]{5}$"),
        (LOW | {"born": "31.1."}, "answers/born must be a date such as 2026-01-31"),
        (LOW | {"mail": "x"}, "answers/mail must be an e-mail address"),
        (LOW | {"a/b": "x"}, "answers/a~1b must have at least 2 characters"),
        (LOW | {"a/b": "xxxx"}, "answers/a~1b must have at most 3 characters"),
        (LOW | {"days": ["mon", "wed"]}, "answers/days/1 must be one of mon, tue"),
        (LOW | {"days": ["mon", "mon"]}, "answers/days must not have an entry twice"),
        (LOW | {"none": 1}, "answers/none is not allowed; leave it out"),
        (LOW | {"type": 1}, "answers/type is not allowed; leave it out"),
        (LOW | {"other": 1}, "answers/other is not allowed; leave it out"),
        (LOW | {"choice": "x"}, "answers/choice must fit exactly one of the alternatives"),
        (LOW | {"born": "2026-01-31"}, "answers/mail is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(answers: Any, said: str) -> None:
    waiting().when(grant("ann", answers=answers)).then_refused(INVALID, said)


def test_all_that_is_wrong_is_said_at_once() -> None:
    waiting().when(grant("ann", answers={"limit": -1, "mail": "x"})).then_refused(
        INVALID,
        "answers/risk is missing; answers/limit must be at least 0; "
        "answers/mail must be an e-mail address",
    )


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"risk": float("nan")}, "answers.risk is a number that is not finite"),
        ({"limit": 2**53}, "answers.limit is a whole number beyond"),
        ({"note": "x" * (256 * 1024)}, "answers is 262155 bytes of JSON, the limit is 262144"),
        ({"\ud800": 1}, "a name in answers holds U+D800"),
    ],
)
def test_answers_are_json_within_its_limits(answers: Any, said: str) -> None:
    waiting({}).when(grant("ann", answers=answers)).then_refused(INVALID, said)


def test_answers_two_hundred_levels_deep_are_refused() -> None:
    answers: Any = 1
    for _ in range(200):
        answers = [answers]

    waiting({}).when(grant("ann", answers=answers)).then_refused(INVALID, "100 levels deep")


def test_answers_that_would_take_long_to_check_are_refused() -> None:
    form = {"items": {"allOf": [{"minimum": i} for i in range(900)]}}

    waiting(form).when(grant("ann", answers=[1] * 1000)).then_refused(
        INVALID, "answers is too large for this schema"
    )


def test_answers_are_checked_once_unless_the_form_turns_out_to_be_another() -> None:
    waiting_state = waiting().state
    command = grant("ann", answers=LOW)(waiting_state)
    assert isinstance(command, Decide)

    assert command.check_answers_to(FORM) is None
    assert command.checked_form is FORM
    assert command.check_answers_to({"type": "array"}) == "answers must be a list"
