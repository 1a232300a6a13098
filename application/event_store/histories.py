"""The whole histories of several executions, read in one statement."""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import DictRow

from application.event_store.chained_events import DAMAGE, LoggedEvent, logged

HISTORIES: LiteralString = """
    WITH wanted AS (
        SELECT * FROM unnest(%(ids)s::uuid[], %(versions)s::int[])
            WITH ORDINALITY AS given (id, version, place)
    ), sized AS (
        SELECT id, version, place, sum(octet_length(state)) AS size
        FROM wanted JOIN execution_events
            ON originator_id = id AND originator_version <= version
        GROUP BY id, version, place
    ), fitting AS (
        SELECT id, version, sum(size) OVER (ORDER BY place) AS so_far
        FROM sized WHERE size <= %(each)s
    )
    SELECT events.* FROM fitting JOIN execution_events AS events
        ON originator_id = id AND originator_version <= version
    WHERE so_far <= %(together)s
    ORDER BY originator_id, originator_version
"""


class HistoryLimits(NamedTuple):
    """How many bytes of stored events one history may have, and all of them together."""

    each: int
    together: int


def parameters(versions: Mapping[UUID, int], limits: HistoryLimits) -> dict[str, Any]:
    """Return the parameters for the histories of executions up to these versions."""
    return {
        "ids": list(versions),
        "versions": list(versions.values()),
        "each": limits.each,
        "together": limits.together,
    }


def histories(rows: Iterable[DictRow]) -> dict[UUID, list[LoggedEvent]]:
    """Return the events by execution, without executions of which an event can't be read."""
    found: dict[UUID, list[LoggedEvent]] = {}
    damaged: set[UUID] = set()
    for row in rows:
        execution_id = row["originator_id"]
        try:
            found.setdefault(execution_id, []).append(logged(row))
        except DAMAGE:
            damaged.add(execution_id)
    return {id_: events for id_, events in found.items() if id_ not in damaged}
