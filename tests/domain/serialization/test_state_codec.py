"""A stored state is read back as it was, and tells which fold wrote it."""

import hashlib
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from domain.serialization.state_codec import FOLD_VERSION, _Stored

SHAPES = {
    1: "adf44475a49fa7fdadd5c511a88ef14b15c0baa2545743dbe6ba33b72d294a19",
    2: "488440704f02159b39f944a5af3bcf9504eda3a617248d13b9a0e6ca7d964d23",
    3: "0d2e0474242c150b43216ec6ace32176fe25d9d7bc407992bab6ce6763620330",
    4: "35773a5e6e1c8bffed274ee8456104e4d22ef6da96bf2e2b3e3d9ce14987168c",
    5: "cb30c3ab2e757ba2ed0f069f7abb149fcc7c8c913af055c92bc171e228517b2d",
    6: "4a9fd617f2de39ae3d0cb9fdffce636a3b77c6ddde30f69b3c7826e0b68e45b0",
    7: "01ee5d9775dc6b81dea42456ecdd66eea7e99e5ee37f2335ee7375f630ab59db",
    8: "0c007d5b462a9120643fe0c9b6a4d6cba8651e5d722bf39a466ceddc6cad62ad",
    9: "4ca14d50282276dadef27c429929935d2aa7ed1054c825bf0261276e7f02e75e",
    10: "adc343a45ab2858c6d6524ab729f1e9a3490f65c8575b5ed30af684ffe673f8b",
    11: "977406916f1fd7af76c798a58a16eff3c1b7bf890239e05909c0de1872332265",
    12: "e6b4794bf6cc3d8ac6cbb9225ec26e9a362bcd081f31d1484c9fe9e979041447",
    13: "3fa34ddd47bdd42648b9d3002894c7abd6815dc79e8e4fdf6ad2d9cb79d96470",
    14: "285fee0ddfc1412c0ade198943c4378406ee59d07fcc5dafbd5da75815e0bea7",
    15: "ac4b8a87dca2b9806d5e31c67cdf66dda63b89bdb846da3073ab4ec669ea7538",
}
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
