"""The contents of the read models, and what they should be: rows made from each fold."""

from typing import Any
from uuid import UUID

import psycopg
from msgspec.structs import replace

from domain.approvals.document import document_digest, document_of
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, digest
from domain.serialization.state_codec import decode_state
from projections.registry import MODELS
from projections.runtime.event_feed import EventFeed
from projections.runtime.read_model import header

TABLES = tuple(table for model in MODELS.values() for table in model.tables)


def project(url: str, *, batch: int = 500, upto: int | None = None) -> None:
    """Project all of the log in this thread, or the events up to a position."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(position,)] = connection.execute(
            "SELECT DISTINCT position FROM projection_positions"
            " WHERE name NOT IN ('children', 'standing_grant_uses')"
        ).fetchall()
        feed = EventFeed(list(MODELS.values()), position)
        while rows := feed.read(connection, limit=batch, upto=upto):
            folded = feed.fold(connection, rows)
            for model in feed.models:
                assert model.write(connection, folded.changes, feed.position, folded.position)
            feed.accept(folded)


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables as text, to compare two ways to the same."""
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(
                psycopg.sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(
                    psycopg.sql.Identifier(table)
                )
            ).fetchall()
            for table in (*TABLES, "projection_positions")
        }


def executions(url: str) -> dict[UUID, Execution]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id, body FROM executions").fetchall()
    return {execution_id: decode_state(body) for execution_id, body in rows}


def approvals(url: str) -> dict[tuple[UUID, int], Approval]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT execution_id, ordinal, body FROM approvals").fetchall()
    return {(id_, ordinal): decode_state(body).approvals[ordinal] for id_, ordinal, body in rows}


def with_digests(state: Execution) -> Execution:
    """Return a state that was put together by hand, with the digests of its documents."""
    approvals = state.approvals
    for approval in state.approvals.values():
        payload = canonical(approval.payload)
        document = document_digest(document_of(state, approval), payload)
        right = replace(approval, digest=document, payload_digest=digest(payload))
        approvals = approvals.insert(approval.ordinal, right)
    return replace(state, approvals=approvals)


def assert_equal_to_fold(url: str, states: dict[UUID, Execution]) -> None:
    assert executions(url) == {id_: header(state) for id_, state in states.items()}
    assert approvals(url) == {
        (id_, approval.ordinal): approval
        for id_, state in states.items()
        for approval in state.approvals.values()
    }
