"""What a decision asks for in a window of Slack: a reason, and answers to the approval's form.

A form can be asked here if each of its questions is a text, number, date, yes or no, or a choice,
and within Slack's limits. Any other is answered on the page of the approval.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from api.console.views.questions import Question, questions_of
from api.slack.rich_text import (
    Block,
    Element,
    header,
    one_line,
    plain,
    shortened,
)
from domain.approvals.state import Approval, Verdict

CALLBACK = "placet-decide"
MAX_QUESTIONS = 40
MAX_INPUT = 3_000
MAX_OPTIONS = 100
MAX_OPTION = 75
MAX_LABEL = 150
MAX_HINT = 1_000

COMMENT = "comment"
"""The id of the block in which a comment is written."""
INPUT = "input"
"""The id of every field in its block."""

_NOTHING: Any = object()
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")

_TITLES = {
    Verdict.GRANTED: "Approve",
    Verdict.REJECTED: "Reject",
    Verdict.CHANGES_REQUESTED: "Request changes",
}
_COMMENTS = {
    Verdict.GRANTED: "Comment",
    Verdict.REJECTED: "Why do you reject it?",
    Verdict.CHANGES_REQUESTED: "What has to change?",
}


class Asked(msgspec.Struct, frozen=True, rename={"approval": "a", "digest": "d", "verdict": "v"}):
    """What a window was opened for. It comes back with what is filled in."""

    approval: str
    digest: str
    verdict: Verdict


class _Field(NamedTuple):
    block_id: str
    label: str
    question: Question


def can_ask(form: Any) -> bool:
    """Whether the questions of a form can be asked in Slack."""
    if not isinstance(form, Mapping):
        return False
    fields = _fields(form)
    return len(fields) <= MAX_QUESTIONS and all(_askable(field.question) for field in fields)


def needs_window(approval: Approval, verdict: Verdict) -> bool:
    """Whether something has to be written for this decision."""
    if verdict is not Verdict.GRANTED:
        return True
    return approval.form is not None or approval.policy.comment_required


def window(approval: Approval, asked: Asked) -> dict[str, Any]:
    """Return the view that asks what a decision needs."""
    blocks: list[Block] = [header(approval.title or approval.key)]
    grants = asked.verdict is Verdict.GRANTED
    if grants and approval.form is not None:
        blocks += [_input(field) for field in _fields(approval.form)]
    must = not grants or approval.policy.comment_required
    blocks.append(
        {
            "type": "input",
            "block_id": COMMENT,
            "optional": not must,
            "label": plain(_COMMENTS[asked.verdict]),
            "element": {
                "type": "plain_text_input",
                "action_id": INPUT,
                "multiline": True,
                "max_length": MAX_INPUT,
            },
        }
    )
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": msgspec.json.encode(asked).decode(),
        "title": plain(_TITLES[asked.verdict]),
        "submit": plain(_TITLES[asked.verdict]),
        "close": plain("Cancel"),
        "blocks": blocks,
    }


def told(title: str, text: str) -> dict[str, Any]:
    """Return a view that says something and asks nothing."""
    return {
        "type": "modal",
        "title": plain(title),
        "close": plain("Close"),
        "blocks": [{"type": "section", "text": plain(shortened(text, MAX_INPUT))}],
    }


def comment_in(values: Mapping[str, Any]) -> str | None:
    """Return the comment that was written, None if there is none."""
    text = _value(values, COMMENT).get("value")
    return text.strip() or None if isinstance(text, str) else None


def answers_in(values: Mapping[str, Any], form: Any) -> Any:
    """Return the answers that were filled in. They are not checked against the form here."""
    question = questions_of(form, "")
    blocks = {field.question.pointer: field.block_id for field in _fields(form)}
    answers = _read(question, blocks, values)
    return {} if answers is _NOTHING else answers


def block_of(form: Any, pointer: str) -> str:
    """Return the id of the block that asks for a place of the answers, or for what is around it."""
    blocks = {field.question.pointer: field.block_id for field in _fields(form)}
    place = pointer
    while place and place not in blocks:
        place = place.rpartition("/")[0]
    return blocks.get(place) or next(iter(blocks.values()), COMMENT)


def _fields(form: Mapping[str, Any]) -> list[_Field]:
    found = _flat(questions_of(form, "Answer"), ())
    return [
        _Field(f"answer-{number}", label, question)
        for number, (label, question) in enumerate(found)
    ]


def _flat(question: Question, around: tuple[str, ...]) -> Iterator[tuple[str, Question]]:
    if question.kind != "group":
        yield " \u203a ".join((*around, question.label)), question
        return
    # The whole form is a group, whose name says nothing about its questions.
    inside = (*around, question.label) if question.pointer else ()
    for part in question.parts:
        yield from _flat(part, inside)


def _askable(question: Question) -> bool:
    limits = question.limits
    match question.kind:
        case "text" | "multiline" | "email":
            return bool(limits.get("minLength", 0) <= MAX_INPUT and limits.get("maxLength", 1) > 0)
        case "integer" | "number" | "date" | "boolean":
            return True
        case "choice" | "choices":
            return 0 < len(question.options) <= MAX_OPTIONS and all(
                0 < len(one_line(str(option))) <= MAX_OPTION for option in question.options
            )
        case _:
            return False


def _input(field: _Field) -> Block:
    question = field.question
    block: Block = {
        "type": "input",
        "block_id": field.block_id,
        "optional": not question.must,
        "label": plain(shortened(one_line(field.label), MAX_LABEL) or "Answer"),
        "element": {"action_id": INPUT, **_element(question)},
    }
    if question.description:
        block["hint"] = plain(shortened(one_line(question.description), MAX_HINT))
    return block


def _element(question: Question) -> Element:
    match question.kind:
        case "integer" | "number":
            return _number_element(question)
        case "date":
            element: Element = {"type": "datepicker"}
            if isinstance(question.default, str) and _DATE.fullmatch(question.default):
                element["initial_date"] = question.default
            return element
        case "boolean" | "choice":
            return _choice_element(question)
        case "choices":
            return {"type": "multi_static_select", "options": _options(question.options)}
        case kind:
            return _text_element(question, several=kind == "multiline")


def _number_element(question: Question) -> Element:
    element: Element = {
        "type": "number_input",
        "is_decimal_allowed": question.kind == "number",
    }
    for ours, theirs in (("minimum", "min_value"), ("maximum", "max_value")):
        if ours in question.limits:
            element[theirs] = str(question.limits[ours])
    if isinstance(question.default, int | float) and not isinstance(question.default, bool):
        element["initial_value"] = str(question.default)
    return element


def _choice_element(question: Question) -> Element:
    if question.kind == "boolean":
        values: tuple[Any, ...] = (True, False)
        element: Element = {"type": "radio_buttons", "options": _options(("Yes", "No"))}
    else:
        values = question.options
        element = {"type": "static_select", "options": _options(values)}
    if question.default is not None and question.default in values:
        element["initial_option"] = element["options"][values.index(question.default)]
    return element


def _text_element(question: Question, *, several: bool) -> Element:
    if question.kind == "email":
        return {"type": "email_text_input"}
    element: Element = {"type": "plain_text_input", "multiline": several}
    if "minLength" in question.limits:
        element["min_length"] = question.limits["minLength"]
    element["max_length"] = min(question.limits.get("maxLength", MAX_INPUT), MAX_INPUT)
    if isinstance(question.default, str) and 0 < len(question.default) <= element["max_length"]:
        element["initial_value"] = question.default
    return element


def _options(options: tuple[Any, ...]) -> list[Element]:
    return [
        {"text": plain(one_line(str(option))), "value": str(number)}
        for number, option in enumerate(options)
    ]


def _value(values: Mapping[str, Any], block_id: str) -> Mapping[str, Any]:
    found = values.get(block_id)
    field = found.get(INPUT) if isinstance(found, Mapping) else None
    return field if isinstance(field, Mapping) else {}


def _read(question: Question, blocks: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    if question.kind == "group":
        read = {part.key: _read(part, blocks, values) for part in question.parts}
        members = {name: value for name, value in read.items() if value is not _NOTHING}
        return members if members or question.required else _NOTHING
    field = _value(values, blocks[question.pointer])
    match question.kind:
        case "choices":
            chosen = {option["value"] for option in field.get("selected_options") or ()}
            found = [each for i, each in enumerate(question.options) if str(i) in chosen]
            return found if found or question.required else _NOTHING
        case "choice" | "boolean":
            options = question.options if question.kind == "choice" else (True, False)
            named = {str(i): option for i, option in enumerate(options)}
            chosen_one = field.get("selected_option") or {}
            return named.get(str(chosen_one.get("value")), _NOTHING)
        case "date":
            return field.get("selected_date") or _NOTHING
        case kind:
            text = str(field.get("value") or "").strip()
            if not text:
                return _NOTHING
            return _number(text) if kind in {"integer", "number"} else text


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text)
    return int(value) if value.is_integer() else value
