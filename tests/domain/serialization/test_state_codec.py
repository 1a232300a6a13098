"""A stored state is read back as it was, and tells which fold wrote it."""

import hashlib
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from domain.serialization.state_codec import FOLD_VERSION, _Stored

SHAPES = {1: "adf44475a49fa7fdadd5c511a88ef14b15c0baa2545743dbe6ba33b72d294a19"}
"""By the version of the fold: the SHA-256 of the state's shape."""


def name_of(type_: Any) -> str:
    """Return a type's name without its module, which may be another one tomorrow."""
    parts = [name_of(part) for part in get_args(type_)]
    origin = get_origin(type_)
    if origin in {Union, UnionType}:
        return " | ".join(parts)
    name = getattr(origin or type_, "__name__", str(type_))
    return f"{name}[{', '.join(parts)}]" if parts else name


def structs(type_: Any, found: dict[str, str]) -> None:
    """Collect the fields of all structs within a type."""
    for part in get_args(type_):
        structs(part, found)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        for field in msgspec.structs.fields(type_):
            path = f"{type_.__name__}.{field.name}"
            if path not in found:
                found[path] = f"{name_of(field.type)} = {field.default}"
                structs(field.type, found)


def test_a_state_of_another_shape_has_another_fold_version() -> None:
    found: dict[str, str] = {}
    structs(_Stored, found)
    lines = "\n".join(f"{path}: {text}" for path, text in sorted(found.items()))
    shape = hashlib.sha256(lines.encode()).hexdigest()
    assert SHAPES.get(FOLD_VERSION) == shape, (
        "The state has another shape: raise FOLD_VERSION and put the new shape under it, "
        "or stored snapshots would be read with defaults in place of what happened"
    )
