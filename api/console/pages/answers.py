"""Answers that people fill in on the page of an approval: shown again, and read."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from api.console.catalogue import N_
from api.console.forms import Form
from api.console.views.questions import Question, questions_of
from api.console.visit import Visit
from domain.mismatches import Mismatch, mismatches

YES, NO = "yes", "no"
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}([.,][0-9]{1,15})?")
_NOTHING: Any = object()

_WORDS = {
    "required": N_("Fill this in."),
    "minimum": N_("It must be at least %(limit)s."),
    "maximum": N_("It must be at most %(limit)s."),
    "exclusiveMinimum": N_("It must be more than %(limit)s."),
    "exclusiveMaximum": N_("It must be less than %(limit)s."),
    "minLength": N_("It needs at least %(limit)s characters."),
    "maxLength": N_("It can have at most %(limit)s characters."),
    "minItems": N_("Choose at least %(limit)s."),
    "maxItems": N_("Choose at most %(limit)s."),
    "pattern": N_("It must match the pattern %(limit)s."),
    "enum": N_("Choose one of the answers."),
    "const": N_("Choose one of the answers."),
}
_OF_TYPE = {
    "integer": N_("It must be a whole number."),
    "number": N_("It must be a number."),
}
_OF_FORMAT = {
    "date": N_("It must be a date such as 2026-01-31."),
    "email": N_("It must be an e-mail address."),
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A question with what was typed, or its default, and what is wrong with it.

    ``options``: of each its value in the form, its label, and whether it is chosen.
    """

    question: Question
    value: str
    options: tuple[tuple[str, str, bool], ...]
    problem: str
    parts: tuple["Field", ...]


class UnreadableAnswersError(ValueError):
    """Answers that are no JSON, by the pointers of their questions."""

    def __init__(self, message: str, problems: Mapping[str, str]) -> None:
        super().__init__(message)
        self.problems = problems


def read_answers(visit: Visit, form: Any) -> Any:
    """Return the answers that were posted. Raises UnreadableAnswersError.

    They are not checked against the form here: the service does that when it decides.
    """
    problems: dict[str, str] = {}
    answers = _read(questions_of(form, ""), visit.form, problems)
    if problems:
        message = visit.text("An answer is no JSON.")
        shown = {
            pointer: visit.text("This is no JSON: %(why)s.", why=why)
            for pointer, why in problems.items()
        }
        raise UnreadableAnswersError(message, shown)
    return {} if answers is _NOTHING else answers


def _read(question: Question, posted: Form, problems: dict[str, str]) -> Any:
    if question.kind == "group":
        read = {part.key: _read(part, posted, problems) for part in question.parts}
        members = {name: value for name, value in read.items() if value is not _NOTHING}
        return members if members or question.required else _NOTHING
    if question.kind == "choices":
        chosen = set(posted.all(question.name))
        found = [option for i, option in enumerate(question.options) if str(i) in chosen]
        return found if found or question.required else _NOTHING
    text = posted.value(question.name).replace("\r\n", "\n").strip()
    if not text:
        return _NOTHING
    match question.kind:
        case "choice":
            options = {str(i): option for i, option in enumerate(question.options)}
            return options.get(text, text)
        case "boolean":
            return {YES: True, NO: False}.get(text, text)
        case "integer":
            return int(text) if _WHOLE.fullmatch(text) else text
        case "number":
            return _number(text)
        case "json":
            return _json(question, text, problems)
        case _:
            return text


def _number(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text
    value = float(text.replace(",", "."))
    return int(value) if value.is_integer() else value


def _json(question: Question, text: str, problems: dict[str, str]) -> Any:
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        problems[question.pointer] = str(error)
        return _NOTHING


def answer_problems(visit: Visit, form: Any) -> dict[str, str]:
    """Return what is wrong with the answers that were posted, by the pointers of questions."""
    found = mismatches(form, read_answers(visit, form))
    return {each.pointer: problem_text(visit.text, each) for each in found}


def problem_text(text: Callable[..., str], mismatch: Mismatch) -> str:
    """Return what is wrong with an answer, in words to the person who gave it."""
    words = {"type": _OF_TYPE, "format": _OF_FORMAT}.get(mismatch.keyword, _WORDS)
    by = mismatch.limit if words is not _WORDS else mismatch.keyword
    said = words.get(by) if isinstance(by, str) else None
    if said is None:
        return text("It can't be taken: it %(why)s.", why=mismatch.text)
    return text(said, limit=str(mismatch.limit)[:100]) if "%" in said else text(said)


def fields_of(visit: Visit, form: Any, posted: Form | None, problems: Mapping[str, str]) -> Field:
    """Return the form as fields, with what was posted, or with its defaults if nothing was."""
    question = questions_of(form, visit.text("Answers"))
    return _field(visit, question, posted, _placed(question, problems))


def _placed(question: Question, problems: Mapping[str, str]) -> dict[str, str]:
    """Give each problem to the question that is asked for its place or for what is around it."""
    pointers = _pointers(question)
    placed: dict[str, str] = {}
    for pointer, text in problems.items():
        place = pointer
        while place and place not in pointers:
            place = place.rpartition("/")[0]
        inner = pointer.removeprefix(place)
        said = f"{inner.removeprefix('/')}: {text}" if inner else text
        placed[place] = f"{placed[place]} {said}" if place in placed else said
    return placed


def _pointers(question: Question) -> set[str]:
    return {question.pointer}.union(*map(_pointers, question.parts))


def _field(
    visit: Visit, question: Question, posted: Form | None, problems: Mapping[str, str]
) -> Field:
    typed = [] if posted is None else posted.all(question.name)
    given = typed if posted is not None else _defaults(question)
    labels: Sequence[tuple[str, str]] = [(str(i), str(o)) for i, o in enumerate(question.options)]
    if question.kind == "boolean":
        labels = [(YES, visit.text("Yes")), (NO, visit.text("No"))]
    return Field(
        question=question,
        value=given[0] if given else "",
        options=tuple((value, label, value in given) for value, label in labels),
        problem=problems.get(question.pointer, ""),
        parts=tuple(_field(visit, part, posted, problems) for part in question.parts),
    )


def _defaults(question: Question) -> list[str]:
    default = question.default
    match question.kind:
        case _ if default is None:
            return []
        case "choice":
            return [str(i) for i, option in enumerate(question.options) if option == default]
        case "choices" if isinstance(default, list):
            return [str(i) for i, option in enumerate(question.options) if option in default]
        case "boolean":
            return [YES if default else NO]
        case "json":
            return [json.dumps(default, ensure_ascii=False, indent=2)]
        case _:
            return [str(default)]
