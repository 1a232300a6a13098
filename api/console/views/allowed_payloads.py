"""Which payloads a standing grant allows: a schema in plain words, and one made from a payload."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from api.console.catalogue import N_

Translate = Callable[..., str]

MAX_NAMES = 40
_KNOWN = {"type", "properties", "required", "additionalProperties", "title", "description"}
_KNOWN_OF_MEMBER = {"const", "enum", "type", "minimum", "maximum", "title", "description"}
_TYPES = {
    "string": N_("a text"),
    "number": N_("a number"),
    "integer": N_("a whole number"),
    "boolean": N_("true or false"),
    "object": N_("an object"),
    "array": N_("a list"),
    "null": N_("nothing"),
}


def like(payload: Any) -> dict[str, Any]:
    """Return a schema for payloads like this one: no larger numbers, and the same otherwise.

    A payload that is no object, or has too many members, must be the same.
    """
    if not isinstance(payload, dict) or not 0 < len(payload) <= MAX_NAMES:
        return {"const": payload}
    return {
        "type": "object",
        "properties": {name: _member_like(value) for name, value in payload.items()},
        "required": list(payload),
        "additionalProperties": False,
    }


def _member_like(value: Any) -> dict[str, Any]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and value > 0:
        return {"type": "number", "minimum": 0, "maximum": value}
    return {"const": value}


def in_words(schema: Any, text: Translate) -> list[str]:
    """Say which payloads meet a schema. It is only said in words what these say completely.

    The list is empty if that is not possible; then the schema itself has to be read.
    """
    if schema is True or schema == {}:
        return [text("Whatever the payload is.")]
    if not isinstance(schema, dict):
        return []
    if set(schema) == {"const"}:
        return [text("The payload is exactly %(value)s.", value=_json(schema["const"]))]
    members = schema.get("properties", {})
    if not set(schema) <= _KNOWN or schema.get("type") != "object" or not members:
        return []
    required = set(schema.get("required", ()))
    lines = list(_members_in_words(members, required, text))
    if len(lines) != len(members) or not required <= set(members):
        return []
    others = schema.get("additionalProperties", True)
    if others not in (True, False, {}):
        return []
    if others is False:
        return [*lines, text("Nothing else may be in it.")]
    return [*lines, text("Anything else may be in it too.")]


def _members_in_words(
    members: dict[str, Any], required: set[str], text: Translate
) -> Iterator[str]:
    for name, schema in members.items():
        said = _member_in_words(schema, text)
        if said is None:
            return
        if name in required:
            yield text("%(name)s: %(what)s", name=name, what=said)
        else:
            yield text("%(name)s: %(what)s, or not given", name=name, what=said)


def _member_in_words(schema: Any, text: Translate) -> str | None:
    if schema is True or schema == {}:
        return text("anything")
    if not isinstance(schema, dict) or not set(schema) <= _KNOWN_OF_MEMBER:
        return None
    given = set(schema) - {"title", "description"}
    if given <= {"const", "type"} and "const" in given:
        return text("exactly %(value)s", value=_json(schema["const"]))
    if given <= {"enum", "type"} and "enum" in given:
        return text("one of %(values)s", values=", ".join(map(_json, schema["enum"])))
    if "const" in given or "enum" in given:
        return None
    kind = schema.get("type")
    words = text(_TYPES[kind]) if isinstance(kind, str) and kind in _TYPES else None
    if words is None:
        return None
    if "minimum" in given and "maximum" in given:
        return text(
            "%(what)s from %(low)s to %(high)s",
            what=words,
            low=_json(schema["minimum"]),
            high=_json(schema["maximum"]),
        )
    if "maximum" in given:
        return text("%(what)s of at most %(high)s", what=words, high=_json(schema["maximum"]))
    if "minimum" in given:
        return text("%(what)s of at least %(low)s", what=words, low=_json(schema["minimum"]))
    return words


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
