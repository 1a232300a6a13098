"""The form of an approval as questions that a page can ask, made from its JSON Schema.

The page asks for texts, numbers, dates, yes and no, choices, and objects of these, two levels deep.
Whatever else a schema asks for is asked for as JSON, so every form can be answered.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from domain.json_schemas import escaped

Kind = Literal[
    "text",
    "multiline",
    "email",
    "date",
    "integer",
    "number",
    "boolean",
    "choice",
    "choices",
    "group",
    "json",
]

MAX_LEVELS = 2
MAX_CHECKBOXES = 40
LONG_TEXT = 200
MULTILINE = "multiline"
"""The format of a text of several lines. It is this console's own; validators ignore it."""

_NULL = {"type": "null"}
_PLAIN: dict[str, Kind] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
_FORMATS: dict[str, Kind] = {"email": "email", "date": "date", MULTILINE: "multiline"}
# A field whose schema has one of these asks for more than its kind says.
_BEYOND = {"allOf", "anyOf", "oneOf", "not", "if", "$ref", "patternProperties", "prefixItems"}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question. ``pointer`` is the JSON pointer of its answer, and names its field.

    ``must``: it has to be answered in any case, so also the groups around it. ``options`` are the
    values of a choice; ``parts`` the questions of a group.
    """

    pointer: str
    kind: Kind
    label: str
    description: str = ""
    required: bool = False
    must: bool = False
    default: Any = None
    options: tuple[Any, ...] = ()
    limits: Mapping[str, Any] = {}
    parts: tuple["Question", ...] = ()

    @property
    def name(self) -> str:
        """The name of its field in the form of the page."""
        return f"answer{self.pointer}"

    @property
    def key(self) -> str:
        """The last name of the pointer: that of the member which the answer becomes."""
        return self.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def questions_of(form: Mapping[str, Any], label: str) -> Question:
    """Return the question that a whole form is. ``label``: for a form without a title."""
    return _question(form, form, "", label, required=True, must=True, level=0)


def _question(
    root: Mapping[str, Any],
    schema: Any,
    pointer: str,
    label: str,
    *,
    required: bool,
    must: bool,
    level: int,
) -> Question:
    schema = _resolved(root, schema)
    kind = _kind(schema, level)
    parts: tuple[Question, ...] = ()
    if kind == "group":
        needed = schema.get("required", ())
        parts = tuple(
            _question(
                root,
                part,
                f"{pointer}/{escaped(name)}",
                name,
                required=name in needed,
                must=must and name in needed,
                level=level + 1,
            )
            for name, part in schema["properties"].items()
        )
    return Question(
        pointer=pointer,
        kind=kind,
        label=str(schema.get("title") or label),
        description=str(schema.get("description") or ""),
        required=required,
        must=must,
        default=schema.get("default"),
        options=_options(schema) if kind == "choice" else _options(_items(schema)),
        limits={name: schema[name] for name in _LIMITS[kind] if name in schema},
        parts=parts,
    )


_LIMITS: dict[Kind, tuple[str, ...]] = {
    "text": ("minLength", "maxLength"),
    "multiline": ("minLength", "maxLength"),
    "email": ("minLength", "maxLength"),
    "date": (),
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "boolean": (),
    "choice": (),
    "choices": (),
    "group": (),
    "json": (),
}


def _resolved(root: Mapping[str, Any], schema: Any) -> Any:
    """Follow a reference, and leave null out of the alternatives: who leaves a field out means it.

    A number that may also be the text of a number stays a number.
    """
    while isinstance(schema, Mapping):
        others = [each for each in schema.get("anyOf", ()) if each != _NULL]
        kinds = schema.get("type")
        if "$ref" in schema:
            found = _at(root, schema["$ref"])
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            if not isinstance(found, Mapping):
                return schema
            schema = {**found, **rest}
        elif len(others) == 1 or [_type(each) for each in others] == ["number", "string"]:
            rest = {name: value for name, value in schema.items() if name != "anyOf"}
            if not isinstance(others[0], Mapping):
                return schema
            schema = {**others[0], **rest}
        elif isinstance(kinds, list) and len(set(kinds) - {"null"}) == 1:
            schema = {**schema, "type": next(kind for kind in kinds if kind != "null")}
        else:
            return schema
    return schema


def _type(schema: Any) -> Any:
    return schema.get("type") if isinstance(schema, Mapping) else None


def _at(root: Mapping[str, Any], reference: str) -> Any:
    found: Any = root
    for token in reference.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _kind(schema: Any, level: int) -> Kind:
    if not isinstance(schema, Mapping) or not _BEYOND.isdisjoint(schema):
        return "json"
    if _options(schema):
        return "choice"
    kind = schema.get("type")
    if kind == "object" and level <= MAX_LEVELS and schema.get("properties"):
        return "group"
    if kind == "array" and 0 < len(_options(_items(schema))) <= MAX_CHECKBOXES:
        return "choices"
    plain = _PLAIN.get(kind, "json") if isinstance(kind, str) else "json"
    if plain != "text":
        return plain
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    return "multiline" if schema.get("maxLength", 0) > LONG_TEXT else "text"


def _items(schema: Any) -> Any:
    return schema.get("items") if isinstance(schema, Mapping) else None


def _options(schema: Any) -> tuple[Any, ...]:
    """Return the values of an enumeration, none if one of them is an object or a list."""
    if not isinstance(schema, Mapping):
        return ()
    options = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if any(isinstance(option, Mapping | list) for option in options):
        return ()
    return tuple(option for option in options if option is not None)
