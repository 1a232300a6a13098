"""A payload as fields that a person can change, and what comes of the changes.

The flat members of an object are fields of their own. Everything else is JSON in a text area, and
so is the whole payload, for members that are to be added or removed. What was not touched keeps its
value exactly: a browser changes line breaks in what it sends back.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from api.console.forms import Form
from api.graphql.json_body import decode_json

PREFIX = "payload."
"""Begins the names of the fields; what follows is the name of the member."""
WHOLE = "payload-json"
"""The name of the field with the whole payload as JSON."""
MAX_BYTES = 64 * 1024
"""A payload with more bytes of JSON is not changed in a browser."""
MAX_FIELDS = 60
_LINE = 120

Kind = Literal["line", "lines", "number", "choice", "json"]


class PayloadField(msgspec.Struct, frozen=True, kw_only=True):
    """One member. ``text`` is what the field shows, in the notation of its kind."""

    name: str
    label: str
    kind: Kind
    text: str
    rows: int = 1


class Editable(msgspec.Struct, frozen=True):
    """A payload to change. ``fields`` is empty if it is no object, or one of too many members."""

    fields: tuple[PayloadField, ...]
    whole: str


class FieldError(Exception):
    """A field can't be read. ``label`` is "" for the whole; ``reason`` is None for no number."""

    def __init__(self, label: str, reason: str | None = None) -> None:
        super().__init__(label, reason)
        self.label = label
        self.reason = reason


def editable(payload: Any) -> Editable | None:
    """Return a payload as fields, None if it is too large for that."""
    if len(msgspec.json.encode(payload)) > MAX_BYTES:
        return None
    members = payload if isinstance(payload, dict) and len(payload) <= MAX_FIELDS else {}
    fields = tuple(_field(label, value) for label, value in members.items())
    return Editable(fields, _json(payload))


def changed_payload(form: Form, payload: Any) -> Any:
    """Return the payload as the form says, which is the given one if nothing was changed.

    Raises FieldError.
    """
    shown = editable(payload)
    if shown is None:
        return payload
    whole = form.value(WHOLE)
    if form.has(WHOLE) and _normal(whole) != _normal(shown.whole):
        return _read_json("", whole)
    changes = dict(_changes(form, shown))
    return {**payload, **changes} if changes else payload


def _changes(form: Form, shown: Editable) -> Iterator[tuple[str, Any]]:
    for field in shown.fields:
        text = form.value(field.name)
        if not form.has(field.name) or _normal(text) == _normal(field.text):
            continue
        match field.kind:
            case "line" | "lines":
                yield field.label, _normal(text)
            case "number":
                yield field.label, _read_number(field.label, text)
            case "choice":
                yield field.label, text == "true"
            case "json":
                yield field.label, _read_json(field.label, text)


def _field(label: str, value: Any) -> PayloadField:
    name = PREFIX + label
    if isinstance(value, bool):
        return PayloadField(name=name, label=label, kind="choice", text=_json(value))
    if isinstance(value, int | float):
        return PayloadField(name=name, label=label, kind="number", text=_json(value))
    if isinstance(value, str) and _typable(value):
        if "\n" not in value and len(value) <= _LINE:
            return PayloadField(name=name, label=label, kind="line", text=value)
        return PayloadField(name=name, label=label, kind="lines", text=value, rows=_rows(value))
    text = _json(value)
    return PayloadField(name=name, label=label, kind="json", text=text, rows=_rows(text))


def _typable(text: str) -> bool:
    """Whether a person sees every character, and a browser gives each back."""
    return text.replace("\n", "").isprintable()


def _rows(text: str) -> int:
    return min(12, max(2, text.count("\n") + 1, len(text) // 60))


def _json(value: Any) -> str:
    """Return JSON with a member a line. Characters that can't be seen are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text
    )


def _normal(text: str) -> str:
    """Browsers send line breaks as carriage return and line feed."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_json(label: str, text: str) -> Any:
    try:
        return decode_json(text.encode("utf-8", "surrogatepass"), "it")
    except ValueError as error:
        raise FieldError(label, str(error)) from error


def _read_number(label: str, text: str) -> int | float:
    try:
        value = decode_json(text.strip().encode(), "it")
    except ValueError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(label)
    return value
