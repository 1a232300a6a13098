"""The fields of objects that are written as JSON objects, and how they are called there."""

from dataclasses import fields, is_dataclass
from typing import Any

import msgspec


def json_names(value: Any) -> dict[str, str]:
    """Give what each field of a dataclass, a Struct or a model of pydantic is called in JSON.

    Empty for anything else.
    """
    if isinstance(value, msgspec.Struct):
        return dict(zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True))
    if is_dataclass(value):
        return {each.name: each.name for each in fields(value)}
    return {name: name for name in getattr(type(value), "model_fields", ())}
