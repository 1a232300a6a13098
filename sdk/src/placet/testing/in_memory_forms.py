"""Checks forms and answers in memory, with the library of the service.

The service says more exactly what is wrong, and limits how complex a form may be.
"""

from functools import lru_cache
from importlib import import_module
from typing import Any

import msgspec

from placet._util.optional_imports import needs
from placet._util.service_rules import Problem, json_problem
from placet.testing.in_memory_log import refuse


def form_problem(form: Any) -> Problem:
    """Return why the service would not take a form, None if it would."""
    if not isinstance(form, dict):
        return "form must be an object with a JSON Schema"
    if problem := json_problem(form, "form"):
        return problem
    try:
        _validator(msgspec.json.encode(form))
    except ValueError as error:
        return f"form is not valid JSON Schema: {error}"
    return None


def check_answers(form: Any, answers: Any) -> None:
    """Raise InvalidInput for the answers of a grant that the service refuses."""
    if form is None:
        if answers is not None:
            refuse("INVALID_INPUT", "answers can't be given: the approval has no form")
        return
    if answers is None:
        refuse("INVALID_INPUT", "answers must be given: the approval has a form")
    if problem := json_problem(answers, "answers"):
        refuse("INVALID_INPUT", problem)
    errors = _validator(msgspec.json.encode(form)).iter_errors(answers)
    if problems := [_said(error) for error in errors]:
        refuse("INVALID_INPUT", "; ".join(problems))


@lru_cache(maxsize=64)
def _validator(form: bytes) -> Any:
    with needs("forms"):
        library = import_module("jsonschema_rs")
    return library.Draft202012Validator(
        msgspec.json.decode(form),
        validate_formats=True,
        offline=True,
        pattern_options=library.RegexOptions(),
    )


def _said(error: Any) -> str:
    place = "".join(f"/{part}" for part in error.instance_path)
    return f"answers{place}: {error.message}"
