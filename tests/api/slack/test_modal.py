"""What a decision asks for in a window, and how its answers are read."""

from typing import Any

import msgspec
import pytest

from api.slack import modal
from api.slack.modal import Asked, answers_in, block_of, can_ask, needs_window, window
from domain.approvals.state import Approval, Verdict
from tests.api.slack.block_rules import check_view
from tests.api.slack.test_card import asked
from tests.domain import ask

FORM = {
    "type": "object",
    "required": ["cost centre", "urgent"],
    "properties": {
        "cost centre": {"type": "string", "minLength": 2, "description": "Four digits"},
        "urgent": {"type": "boolean"},
        "account": {"enum": ["current", "savings", 3]},
        "marks": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
        "copies": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2},
        "rate": {"type": "number"},
        "on": {"type": "string", "format": "date"},
        "contact": {
            "type": "object",
            "title": "Who to ask",
            "properties": {"mail": {"type": "string", "format": "email"}},
        },
    },
}


def view_of(approval: Approval, verdict: Verdict = Verdict.GRANTED) -> dict[str, Any]:
    made = window(approval, Asked(str(approval.id), approval.digest, verdict))
    check_view(made)
    return made


def inputs(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the inputs of a window by their labels."""
    return {b["label"]["text"]: b for b in view["blocks"] if b["type"] == "input"}


def filled(view: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Return the state of a window in which these fields are filled in, by their labels."""
    values = {}
    for label, block in inputs(view).items():
        field: dict[str, Any] = {"type": block["element"]["type"]}
        if label in given:
            field |= given[label]
        values[block["block_id"]] = {block["element"]["action_id"]: field}
    return values


def option(block: dict[str, Any], text: str) -> dict[str, Any]:
    [found] = [o for o in block["element"]["options"] if o["text"]["text"] == text]
    return dict(found)


def test_each_kind_of_question_is_a_field_and_is_read_as_its_answer() -> None:
    approval = asked(form=FORM).approval(1)
    view = view_of(approval)
    fields = inputs(view)
    assert list(fields) == [
        *("cost centre", "urgent", "account", "marks", "copies", "rate", "on"),
        *("Who to ask \u203a mail", "Comment"),
    ]
    assert [label for label, block in fields.items() if not block["optional"]] == [
        "cost centre",
        "urgent",
    ]
    assert fields["copies"]["element"]["initial_value"] == "2"
    values = filled(
        view,
        **{
            "cost centre": {"value": " 0815 "},
            "urgent": {"selected_option": option(fields["urgent"], "No")},
            "account": {"selected_option": option(fields["account"], "3")},
            "marks": {
                "selected_options": [option(fields["marks"], "c"), option(fields["marks"], "a")]
            },
            "copies": {"value": "3"},
            "rate": {"value": "0.50"},
            "on": {"selected_date": "2026-03-05"},
            "Who to ask \u203a mail": {"value": "ann@example.com"},
        },
    )
    assert answers_in(values, FORM) == {
        "cost centre": "0815",
        "urgent": False,
        "account": 3,
        "marks": ["a", "c"],
        "copies": 3,
        "rate": 0.5,
        "on": "2026-03-05",
        "contact": {"mail": "ann@example.com"},
    }


def test_what_is_left_out_is_no_answer() -> None:
    view = view_of(asked(form=FORM).approval(1))
    assert answers_in(filled(view), FORM) == {}
    assert answers_in({}, FORM) == {}


def test_what_is_wrong_is_said_at_the_field_that_asks_for_it() -> None:
    fields = inputs(view_of(asked(form=FORM).approval(1)))
    assert block_of(FORM, "/copies") == fields["copies"]["block_id"]
    assert block_of(FORM, "/contact/mail") == fields["Who to ask \u203a mail"]["block_id"]
    assert block_of(FORM, "/marks/2") == fields["marks"]["block_id"]
    assert block_of(FORM, "") == fields["cost centre"]["block_id"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "array", "items": {"type": "object"}},
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
        {"type": "string", "minLength": 3_001},
        {"type": "string", "maxLength": 0},
        {"enum": ["x" * 76]},
        {"enum": [""]},
        {"enum": list(range(101))},
    ],
)
def test_a_form_beyond_the_fields_of_slack_is_not_asked_there(part: dict[str, Any]) -> None:
    assert not can_ask({"type": "object", "properties": {"one": part}})
    assert can_ask({"type": "object", "properties": {"one": {"type": "string"}}})


def test_a_form_of_too_many_questions_is_not_asked_in_slack() -> None:
    many = {f"q{number}": {"type": "string"} for number in range(41)}
    assert not can_ask({"type": "object", "properties": many})
    assert not can_ask(True)


def test_a_refusal_needs_its_reason_and_a_grant_only_what_the_policy_asks_for() -> None:
    plain = asked().approval(1)
    assert not needs_window(plain, Verdict.GRANTED)
    for verdict in (Verdict.REJECTED, Verdict.CHANGES_REQUESTED):
        assert needs_window(plain, verdict)
        [reason] = inputs(view_of(plain, verdict)).values()
        assert not reason["optional"]
    must = asked(policy=ask.policy(comment_required=True)).approval(1)
    assert needs_window(must, Verdict.GRANTED)
    assert not inputs(view_of(must))["Comment"]["optional"]


def test_a_window_knows_what_it_was_opened_for() -> None:
    approval = asked().approval(1)
    view = view_of(approval, Verdict.REJECTED)
    read = msgspec.json.decode(view["private_metadata"], type=Asked)
    assert read == Asked(str(approval.id), approval.digest, Verdict.REJECTED)
    assert view["callback_id"] == modal.CALLBACK


def test_the_questions_of_strangers_are_no_markup() -> None:
    evil = "*x* <!channel> :tada:\n\u202ey"
    form = {
        "type": "object",
        "properties": {evil: {"enum": [evil], "description": evil}},
    }
    view = view_of(asked(form=form, title=evil).approval(1))
    assert "\u202e" not in str(view)
    assert "mrkdwn" not in str(view)
