"""Forms: the JSON Schema of a type, and answers to it read back as values of the type."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import msgspec

from placet._util.optional_imports import needs
from placet._util.serde import Read, as_it_is, plain


class Form(NamedTuple):
    """The JSON Schema of a form, None for no form, and the function that reads its answers."""

    schema: Any = None
    read: Read = as_it_is


NO_FORM = Form()

_DECIMAL = r"^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)$"


def form_of(form: Any) -> Form:
    """Return the form that a model of pydantic, a dataclass or another type describes.

    A dict is a JSON Schema itself, and its answers stay plain JSON. Raises ValueError for a dict
    that is not JSON, and TypeError for what is no type and for anything that pydantic has no schema
    for.
    """
    if form is None:
        return NO_FORM
    if isinstance(form, Mapping):
        return Form(plain(form, "form"))
    if isinstance(form, list | set | str):
        msg = f"form takes a model, a dataclass or a dict with a JSON Schema, not {form!r}"
        raise TypeError(msg)
    return _form_of_type(form)


@lru_cache(maxsize=256)
def _form_of_type(kind: Any) -> Form:
    with needs("forms"):
        pydantic, json_schema = import_module("pydantic"), import_module("pydantic.json_schema")

    class Schema(json_schema.GenerateJsonSchema):  # type: ignore[misc, name-defined]
        def decimal_schema(self, schema: Any) -> Any:
            # A number, or the text as which a model writes it. The pattern of pydantic looks ahead,
            # which the service does not take.
            alternatives = super().decimal_schema(schema).get("anyOf", ())
            number = next((a for a in alternatives if a["type"] == "number"), {"type": "number"})
            return {"anyOf": [number, {"type": "string", "pattern": _DECIMAL}]}

    try:
        adapter = pydantic.TypeAdapter(kind)
        schema = adapter.json_schema(schema_generator=Schema, mode="validation")
    except (pydantic.PydanticUserError, pydantic.errors.PydanticSchemaGenerationError) as error:
        msg = f"no form can be made of {kind!r}: {error}"
        raise TypeError(msg) from error
    # From JSON text, because a strict model takes strings as dates only there.
    return Form(schema, lambda answers: adapter.validate_json(msgspec.json.encode(answers)))
