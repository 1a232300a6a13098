"""Answers to the form of an approval: given as JSON, or asked for field by field."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from placet._util.json_text import parsed
from placet.cli.terminal import line, safe

_YES, _NO = "yes", "no"


def given_answers(text: str) -> Any:
    """Read the answers of an option: JSON, or ``@`` and the name of a file that has it."""
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text("utf-8")
        return parsed(text, "the answers")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{error}", param_hint="--answers") from error


def asked_answers(form: Any) -> Any:
    """Ask for the answers to a form in the terminal.

    What is not required may be left empty. The fields of a form are asked for one by one if each is
    a text, a number, a choice, or yes and no. Otherwise all is asked for as JSON.
    """
    if not sys.stdin.isatty():
        msg = "the approval has a form, and without a terminal nobody can be asked"
        raise typer.BadParameter(msg, param_hint="--answers")
    fields = form.get("properties") if isinstance(form, Mapping) else None
    questions = {} if fields is None else {name: _plain(each) for name, each in fields.items()}
    if not questions or None in questions.values():
        return given_answers(typer.prompt("Answers to the form, as JSON or @file"))
    required = form.get("required", [])
    answers = {
        name: _asked(name, question, needed=name in required)
        for name, question in questions.items()
        if question is not None
    }
    return {name: answer for name, answer in answers.items() if answer is not None}


def _plain(schema: Any) -> Mapping[str, Any] | None:
    """Return the schema of a field that one line can answer, without its null; None for others."""
    if not isinstance(schema, Mapping):
        return None
    if "anyOf" in schema:
        # A decimal is a number, or the text of one.
        others = [each for each in schema["anyOf"] if each != {"type": "null"}]
        if [each.get("type") for each in others[1:]] not in ([], ["string"]):
            return None
        schema = {**schema, **others[0]}
    simple = schema.get("type") in {"string", "integer", "number", "boolean"}
    return schema if simple or _options(schema) else None


def _options(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {str(each): each for each in schema.get("enum", ()) if isinstance(each, str | int)}


def _asked(name: str, schema: Mapping[str, Any], *, needed: bool) -> Any:
    if schema.get("description"):
        line(str(schema["description"]))
    label = safe(str(schema.get("title") or name))
    kind = schema.get("type")
    options = _options(schema)
    if kind == "boolean":
        options = {_YES: True, _NO: False}
    if options:
        label = f"{label} ({', '.join(map(safe, options))})"
    default = schema.get("default")
    shown = next((text for text, value in options.items() if value is default), None)
    if shown is None and default is not None:
        shown = safe(str(default))
    if shown is None and not needed:
        label, shown = f"{label}, may be left empty", ""
    return typer.prompt(
        label,
        default=shown,
        show_default=bool(shown),
        value_proc=lambda entered: _read(entered, kind, options, needed=needed),
    )


def _read(entered: str, kind: Any, options: Mapping[str, Any], *, needed: bool) -> Any:
    """Read what was entered; None if it was left empty. Raises BadParameter, which asks again."""
    if entered == "" and not needed:
        return None
    if options:
        if entered not in options:
            raise typer.BadParameter(f"one of {', '.join(map(safe, options))}")
        return options[entered]
    try:
        if kind == "integer":
            return int(entered)
        return float(entered) if kind == "number" else entered
    except ValueError as error:
        raise typer.BadParameter("a number is needed") from error
