import itertools
import string

import psycopg
import pytest

from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.values import Label
from projections.querying.full_text import (
    MAX_BYTES,
    MAX_QUERY,
    approval_text,
    execution_text,
    query_text,
)
from projections.querying.keyset_pages import BadFilterError
from tests.domain.facts import requested, started
from tests.domain.recording import recorded


def waiting(payload: object, title: str = "Trip", labels: tuple[Label, ...] = ()) -> Execution:
    state = evolve(None, recorded(None, *started(labels=labels)(None)))
    return evolve(state, recorded(state, *requested(title=title, payload=payload)(state)))


def test_a_document_holds_names_and_values_at_any_depth() -> None:
    state = waiting(
        {"hotel": [{"name": "Blue"}, 12.5, True, None]}, labels=(Label(name="a", value="b"),)
    )
    assert approval_text(state, state.approvals[1]).split() == [
        "travel", "Trip", "hotel", "name", "Blue", "12.5",
    ]  # fmt: skip
    assert execution_text(state).split() == [
        "travel", "a", "b", "Trip", "hotel", "name", "Blue", "12.5",
    ]  # fmt: skip


def found(url: str, state: Execution, text: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT to_tsvector('simple', %s) @@ websearch_to_tsquery('simple', %s)",
            [approval_text(state, state.approvals[1]), query_text(text)],
        ).fetchone()
    return row == (True,)


@pytest.mark.parametrize(
    "text",
    [
        "eindhoven",
        "EINDHOVEN trip",
        '"trip to eindhoven"',
        "4711",
        "PO-4711",
        "order PO-4711",
        "ann@example.com",
        "reports/2026",
        "reports/2026/may",
        "nothing or trip",
        "trip -paris",
        "bold",
        "1250.5",
        "cost",
        "trip\x00eindhoven",
        "first_name",
        "first name",
    ],
)
def test_words_are_found(module_database_url: str, text: str) -> None:
    payload = {
        "order": "PO-4711",
        "mail": "ann@example.com",
        "file": "reports/2026/may",
        "note": "<b>bold\x00 & brave</b>",
        "cost": 1250.5,
        "first_name": "Ann",
    }
    assert found(module_database_url, waiting(payload, "Trip to Eindhoven"), text)


@pytest.mark.parametrize("text", ["paris", "trip -eindhoven", '"eindhoven to"', "?!", "true"])
def test_other_words_are_not_found(module_database_url: str, text: str) -> None:
    assert not found(module_database_url, waiting({"ok": True}, "Trip to Eindhoven"), text)


def distinct(alphabet: str, length: int, glue: str) -> str:
    words = map("".join, itertools.product(alphabet, repeat=length))
    return glue.join(itertools.islice(words, MAX_BYTES // (length + 1)))


@pytest.mark.parametrize(
    "text",
    [
        distinct(string.ascii_lowercase, 3, " "),
        distinct(string.ascii_lowercase, 4, "-"),
        distinct(string.ascii_lowercase, 4, "/"),
        distinct(string.ascii_lowercase, 4, "."),
        distinct(string.ascii_lowercase, 3, "_"),
        distinct(string.digits, 5, " "),
        distinct(string.digits, 5, "-"),
        distinct(string.digits, 3, "."),
        distinct("İĲŉ", 9, " "),
        "http://a.b/" + distinct(string.ascii_lowercase, 4, "?x=1&http://a.b/"),
        "a " * (MAX_BYTES // 2),
        "x" * MAX_BYTES,
    ],
    ids=range(12),
)
def test_the_largest_payload_fits_into_an_index_entry(module_database_url: str, text: str) -> None:
    state = waiting(
        text[: MAX_BYTES - 2], labels=tuple(Label(name=f"l{i}", value="v") for i in range(50))
    )
    document = execution_text(state)
    assert len(document.encode()) <= MAX_BYTES
    with psycopg.connect(module_database_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE words (search tsvector)")
        connection.execute("CREATE INDEX ON words USING gin (search)")
        connection.execute("INSERT INTO words SELECT to_tsvector('simple', %s)", [document])


@pytest.mark.parametrize("text", ["x" * MAX_QUERY, "\U0010ffff" * MAX_QUERY, "a " * 250, "-" * 500])
def test_the_longest_query_can_be_asked(module_database_url: str, text: str) -> None:
    assert not found(module_database_url, waiting(None), f"zz {text}"[:MAX_QUERY])


def test_a_longer_query_is_refused() -> None:
    with pytest.raises(BadFilterError, match="501 characters, the limit is 500"):
        query_text("x" * 501)


def test_a_large_payload_does_not_hide_a_later_title() -> None:
    state = waiting("x " * MAX_BYTES)
    second = requested("visa", title="A visa", payload=None)(state)
    assert "A visa" in execution_text(evolve(state, recorded(state, *second)))
