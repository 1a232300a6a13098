"""A state that was kept shows what somebody has hidden who rewrote everything else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import Connection

from api.migration import migrate
from application.event_store.verification.findings import Finding
from application.event_store.verification.kept_state import KeptState
from application.event_store.verification.log_audit import Verification
from domain.approvals.events import (
    DecisionContent,
)
from domain.execution.events import (
    Suspended,
)
from tests.application.event_store.verification.manipulation import SNAPSHOTS, Do, actor
from tests.application.event_store.verification.rewriting import (
    alter,
    append,
    drop,
    record,
    rewrite,
)
from tests.application.event_store.verification.story import Story, Told, tell


class Kept(NamedTuple):
    path: Path
    connection: Connection[Any]
    story: Story


@pytest.fixture(scope="module")
def told(module_database_url: str) -> Told:
    migrate(module_database_url)
    return Told(module_database_url, tell(module_database_url))


@pytest.fixture
def kept(told: Told, tmp_path: Path) -> Iterator[Kept]:
    """The state of the untouched log, and a transaction that is rolled back."""
    path = tmp_path / "state"
    with psycopg.connect(told.url) as connection:
        state = KeptState(path)
        assert list(Verification(told.url, [state]).findings()) == []
        state.keep()
        yield Kept(path, connection, told.story)
        connection.rollback()


def compared(kept: Kept) -> list[Finding]:
    """What only the comparison finds."""
    state = KeptState(kept.path)
    found = list(Verification("", [state]).read(kept.connection))
    state.drop()
    return [finding for finding in found if finding.kind == "kept state"]


def remove(connection: Connection[Any], story: Story, name: str) -> None:
    """Remove an execution with all that speaks of it."""
    for table, column in (
        ("execution_events", "originator_id"),
        ("execution_snapshots", "originator_id"),
        ("execution_holds", "execution_id"),
        ("execution_timers", "execution_id"),
        ("start_keys", "execution_id"),
    ):
        connection.execute(f"DELETE FROM {table} WHERE {column} = %s", [story[name]])


def exchange_positions(connection: Connection[Any], story: Story) -> None:
    first, second = (
        connection.execute(
            "DELETE FROM execution_events WHERE originator_id = %s AND originator_version = 1"
            " RETURNING *",
            [story[name]],
        ).fetchall()[0]
        for name in ("cancelled", "parked")
    )
    for row, position in ((first, second[-1]), (second, first[-1])):
        connection.execute(
            "INSERT INTO execution_events VALUES (%s, %s, %s, %s, %s)", [*row[:-1], position]
        )


HIDDEN: dict[str, tuple[Do, str]] = {
    "an execution is removed with all its traces": (
        lambda c, s: remove(c, s, "cancelled"),
        "it had 6 events, now none",
    ),
    "the last execution is removed with all its traces": (
        lambda c, s: remove(c, s, max(s, key=s.__getitem__)),
        "now none",
    ),
    "the last event of an execution is cut off": (
        lambda c, s: rewrite(c, s["released"], drop(2)),
        "it had 2 events",
    ),
    "a comment is changed, with new hashes": (
        lambda c, s: rewrite(c, s["permit"], alter(5, content=DecisionContent(comment="yes"))),
        "it had the hash",
    ),
    "the actor of the last event is changed": (
        lambda c, s: rewrite(c, s["permit"], record(9, actor=actor("mallory"))),
        "it had the hash",
    ),
    "the events of two executions change their places": (
        exchange_positions,
        "the events up to here had other positions",
    ),
    "a colleague decides for another, with new hashes": (
        lambda c, s: rewrite(c, s["permit"], record(5, actor=actor("bob"))),
        "it had the hash",
    ),
}


@pytest.mark.parametrize("sentence", HIDDEN)
def test_what_was_hidden_is_found(kept: Kept, sentence: str) -> None:
    do, said = HIDDEN[sentence]
    do(kept.connection, kept.story)
    found = compared(kept)
    assert found
    assert all(said in finding.message for finding in found), list(map(str, found))


def test_an_event_that_fills_a_gap_is_found(told: Told, tmp_path: Path) -> None:
    state = KeptState(tmp_path / "state")
    with psycopg.connect(told.url) as connection:
        remove(connection, told.story, "new")
        list(Verification("", [state]).read(connection))
        state.keep()
        connection.rollback()
        [found] = compared(Kept(tmp_path / "state", connection, told.story))
    assert found.execution_id == told.story["new"]
    assert "there was no such event" in found.message


def test_a_log_that_has_grown_is_sound(kept: Kept) -> None:
    rewrite(kept.connection, kept.story["new"], append(Suspended()))
    assert compared(kept) == []


def test_a_state_that_was_cut_is_refused(kept: Kept) -> None:
    lines = kept.path.read_bytes().splitlines(keepends=True)
    for cut in (lines[1:], lines[:-1], []):
        kept.path.write_bytes(b"".join(cut))
        with pytest.raises(ValueError, match="not a complete state"):
            compared(kept)
        assert [path.name for path in kept.path.parent.iterdir()] == ["state"]


def test_what_is_compared_is_said(kept: Kept) -> None:
    state = KeptState(kept.path)
    verification = Verification("", [state])
    assert list(verification.read(kept.connection)) == []
    state.drop()
    said = "\n".join(verification.checked())
    assert f"{len(kept.story)} of {len(kept.story)} executions of {kept.path}" in said
    assert "none that was inserted before position" in said
    assert SNAPSHOTS not in said


def test_a_state_needs_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no directory"):
        KeptState(tmp_path / "nowhere" / "state")
