"""Checks of a database that must hold after any fault of the servers."""

from collections import defaultdict
from functools import reduce
from typing import cast
from uuid import UUID

import psycopg

from domain.aggregates import Aggregate, evolve
from domain.execution.events import Recorded
from domain.execution.state import Execution
from domain.serialization.event_codec import decode
from domain.serialization.state_codec import decode_state, encode_state, header_of
from tests.support.audit import findings


def folded(url: str) -> dict[UUID, Execution]:
    """Fold the log; versions without a hole are what the fold insists on."""
    streams: dict[UUID, list[Recorded]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        for id_, version, topic, state in connection.execute(
            "SELECT originator_id, originator_version, topic, state FROM execution_events"
            " ORDER BY originator_id, originator_version"
        ):
            streams[id_].append(decode(id_, version, topic, state))
    states: dict[UUID, Execution] = {}
    for id_, events in streams.items():
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        state = reduce(evolve, events, cast("Aggregate | None", None))
        if isinstance(state, Execution):
            states[id_] = state
    return states


def commands_recorded(url: str) -> dict[UUID, set[tuple[UUID, int]]]:
    """Give, for each command id, the events that it caused."""
    found: dict[UUID, set[tuple[UUID, int]]] = defaultdict(set)
    with psycopg.connect(url) as connection:
        for id_, version, topic, state in connection.execute(
            "SELECT originator_id, originator_version, topic, state FROM execution_events"
        ):
            found[decode(id_, version, topic, state).command_id].add((id_, version))
    return found


def assert_sound(url: str) -> None:
    """The audit finds nothing, and the read models, which have caught up, equal the fold."""
    assert findings(url) == []
    states = folded(url)
    with psycopg.connect(url) as connection:
        [(behind,)] = connection.execute(
            "SELECT count(*) FROM projection_positions"
            " WHERE name NOT IN ('children', 'standing_grant_uses') AND position <>"
            " (SELECT max(notification_id) FROM execution_events)"
        ).fetchall()
        assert behind == 0, "the read models have not caught up"
        rows: dict[UUID, bytes] = dict(
            connection.execute("SELECT id, body FROM executions").fetchall()
        )
        approvals = connection.execute(
            "SELECT execution_id, ordinal, status FROM approvals"
        ).fetchall()
    assert {id_: decode_state(body) for id_, body in rows.items()} == {
        id_: decode_state(encode_state(header_of(state))) for id_, state in states.items()
    }
    assert {(id_, ordinal): status for id_, ordinal, status in approvals} == {
        (id_, ordinal): approval.status.value
        for id_, state in states.items()
        for ordinal, approval in state.approvals.items()
    }
