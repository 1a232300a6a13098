import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet import digest
from placet._util.canonical_json import digest_of_json
from placet._util.serde import plain


def test_digest_is_of_canonical_json() -> None:
    expected = "sha256:43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777"
    assert digest({"b": 2, "a": 1}) == digest({"a": 1.0, "b": 2}) == expected


def test_digest_changes_with_one_byte() -> None:
    assert digest({"to": "Eindhoven"}) != digest({"to": "eindhoven"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"a": [2**53]}])
def test_digest_refuses_what_i_json_can_not_say(value: object) -> None:
    with pytest.raises(ValueError, match=r"not JSON|safe integer"):
        digest(value)


def test_plain_gives_what_json_gives_back() -> None:
    @dataclass
    class Trip:
        to: str
        at: datetime

    trip = Trip("Eindhoven", datetime(2026, 1, 2, tzinfo=UTC))
    assert plain((1, trip), "it") == [1, {"to": "Eindhoven", "at": "2026-01-02T00:00:00Z"}]


SETS = """
import json
from dataclasses import dataclass
from enum import Enum
import msgspec, pydantic
from placet._util.serde import plain

NAMES = ["fin", "sales", "legal", "ops", "hr", "it"]
Color = Enum("Color", NAMES)

@dataclass(frozen=True)
class Tag:
    name: str

@dataclass
class Item:
    tags: set[Tag]

class Other(msgspec.Struct, rename="camel"):
    some_names: set[str]

class Array(msgspec.Struct, array_like=True):
    names: set[str]

class Inner(pydantic.BaseModel):
    names: set[str]

class Model(pydantic.BaseModel):
    inner: list[Inner]

class Rooted(pydantic.BaseModel):
    root: Inner

class Root(pydantic.RootModel[set[str]]):
    pass

class Counted(pydantic.BaseModel):
    @pydantic.computed_field
    def names(self) -> set[str]:
        return set(NAMES)

names = set(NAMES)
print(json.dumps(plain({
    "z": names,
    "colors": set(Color),
    "mixed": {10, 3, 2.5, "b", "a", None, True},
    "nested": [{frozenset({n}) for n in NAMES}, {(n, frozenset(NAMES)) for n in NAMES}],
    "dataclass": Item({Tag(n) for n in NAMES}),
    "struct": Other(names),
    "array": Array(names),
    "model": Model(inner=[Inner(names=names)]),
    "keys": {3: names, "a": {}},
    "rooted": Rooted(root=Inner(names=names)),
    "root": [Root(names)],
    "computed": Counted(),
}, "it")))
"""


def test_a_set_is_written_in_one_order_whatever_the_process() -> None:
    written = [
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert written[1:] == written[:2]
    names = ["fin", "hr", "it", "legal", "ops", "sales"]
    assert list(json.loads(written[0]).items()) == [
        ("z", names),
        ("colors", [1, 2, 3, 4, 5, 6]),
        ("mixed", [2.5, 3, 10, "a", "b", None, True]),
        ("nested", [[[name] for name in names], [[name, names] for name in names]]),
        ("dataclass", {"tags": [{"name": name} for name in names]}),
        ("struct", {"someNames": names}),
        ("array", [names]),
        ("model", {"inner": [{"names": names}]}),
        ("keys", {"3": names, "a": {}}),
        ("rooted", {"root": {"names": names}}),
        ("root", [names]),
        ("computed", {"names": names}),
    ]


@pytest.mark.parametrize("value", [object(), float("nan"), {(1, 2): 3}])
def test_plain_names_what_is_not_json(value: object) -> None:
    with pytest.raises(ValueError, match="the result is not JSON"):
        plain(value, "the result")


@pytest.mark.parametrize("value", [{"b": [2, None, 1.5], "a": {"é": True}}, "text", [], 2**53 - 1])
def test_what_is_json_already_has_the_same_digest(value: object) -> None:
    assert digest_of_json(value) == digest(value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('aB"é\x01\ue000\U0001f600'), inner),
    max_leaves=8,
)


def test_what_json_can_not_express_exactly_has_no_digest() -> None:
    for value in (float("nan"), 2**53):
        with pytest.raises(ValueError, match=r"not representable|safe integer"):
            digest_of_json(value)


@given(JSON)
def test_what_is_json_already_is_given_back_key_by_key(value: object) -> None:
    assert json.dumps(plain(value, "it")) == json.dumps(value)
