"""Creates the tables of the read models."""

from collections.abc import Iterable
from typing import Any

from psycopg import Connection

from projections.querying.checkpoints import POSITIONS
from projections.runtime.connections import connect
from projections.runtime.read_model import ReadModel


def migrate(conninfo: str, models: Iterable[ReadModel]) -> tuple[str, ...]:
    """Create what is missing. It is safe to run again, and from several processes at once.

    Returns the names of the read models whose tables have another version. These tables stay
    unchanged until they are rebuilt.
    """
    with connect(conninfo, application_name="placet-migrate") as connection:
        return create(connection, models)


def create(connection: Connection[Any], models: Iterable[ReadModel]) -> tuple[str, ...]:
    """Do what :func:`migrate` does, on a connection without an open transaction."""
    with connection.transaction():
        # Without the lock, two sessions that create the same table at once would fail.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || %s, 0))",
            ["/placet/migrate"],
        )
        models = tuple(models)
        others = stale(connection, models)
        for model in models:
            if model.name not in others:
                model.create_tables(connection)
                model.create_indexes(connection)
        return others


def stale(connection: Connection[Any], models: Iterable[ReadModel]) -> tuple[str, ...]:
    """Return the names of the read models whose tables have another version."""
    positions = connection.execute(POSITIONS["read"]).fetchall()
    versions = {name: version for name, _, version in positions}
    return tuple(m.name for m in models if versions.get(m.name, m.version) != m.version)
