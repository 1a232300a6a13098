"""An approval's id holds its execution's id and its ordinal, a child's a version of its own."""

from uuid import RFC_4122, UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identifiers import (
    MAX_ORDINAL,
    ApprovalId,
    child_id,
    is_id_of_child,
    is_reserved_id,
    parse_uuid,
)

ID = "0190f1a6-0000-7000-8000-0000000000ab"


def test_an_approval_id_is_read_back() -> None:
    approval_id = ApprovalId(UUID(ID), 12)

    assert str(approval_id) == f"{ID}.12"
    assert ApprovalId.parse(str(approval_id)) == approval_id


@given(st.uuids(), st.integers(1, MAX_ORDINAL))
def test_every_approval_id_is_read_back(execution_id: UUID, ordinal: int) -> None:
    approval_id = ApprovalId(execution_id, ordinal)

    assert ApprovalId.parse(str(approval_id)) == approval_id


@given(st.text(max_size=50))
def test_no_text_makes_reading_fail(text: str) -> None:
    read = ApprovalId.parse(text)

    assert read is None or str(read) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ID,
        f"{ID}.",
        f"{ID}.0",
        f"{ID}.01",
        f"{ID}.-1",
        f"{ID}.+1",
        f"{ID}.1.1",
        f"{ID}. 1",
        f"{ID}.1 ",
        f"{ID}.1e3",
        f"{ID}.1_0",
        f"{ID}.²",
        f"{ID}.\u0661",
        f"{ID}.{MAX_ORDINAL + 1}",
        f"{ID}.{'9' * 5000}",
        f"{ID[:-1]}.1",
        f" {ID}.1",
    ],
)
def test_an_invalid_approval_id_gives_none(text: str) -> None:
    assert ApprovalId.parse(text) is None


def test_the_digits_of_a_uuid_may_be_in_either_case() -> None:
    assert parse_uuid(ID.upper()) == parse_uuid(ID) == UUID(ID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ID.replace("-", ""),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID + "0",
        ID[:-1],
        ID.replace("0", "\u0660"),
        ID[:-1] + "g",
        f"{ID}\n",
        "0190-f1a6-0000-7000-8000-0000000000ab",
    ],
)
def test_other_forms_of_a_uuid_are_none(text: str) -> None:
    assert parse_uuid(text) is None


@given(st.uuids(), st.text(min_size=1, max_size=20), st.integers(1, 50))
def test_the_id_of_every_child_is_reserved_and_differs_by_key_and_round(
    parent: UUID, key: str, round_: int
) -> None:
    id_ = child_id(parent, key, round_)

    assert (id_.version, id_.variant) == (8, RFC_4122)
    assert is_reserved_id(id_)
    assert is_id_of_child(id_, parent, key, round_)
    assert is_id_of_child(uuid5(parent, f"{round_}/{key}"), parent, key, round_)
    assert len({id_, child_id(parent, key + "x", round_), child_id(parent, key, round_ + 1)}) == 3
