"""Writes snapshots in a separate thread, on its own connection."""

from collections import OrderedDict
from threading import Condition, Thread
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from application.event_store.chained_events import Head
from application.event_store.recorder import CONNECTION_DEFAULTS
from application.event_store.snapshots import SNAPSHOT_TOPIC, encode_snapshot

_log = structlog.get_logger(__name__)

_KEY = "SELECT value FROM server_secrets WHERE name = 'snapshots'"
# Keeps the latest three: two of the existing ones and the new one.
_PUT = """
    WITH put AS (
        INSERT INTO execution_snapshots (originator_id, originator_version, topic, state)
        VALUES (%(id)s, %(version)s, %(topic)s, %(state)s)
        ON CONFLICT (originator_id, originator_version)
        DO UPDATE SET topic = EXCLUDED.topic, state = EXCLUDED.state
    )
    DELETE FROM execution_snapshots WHERE originator_id = %(id)s AND originator_version < (
        SELECT originator_version FROM execution_snapshots WHERE originator_id = %(id)s
        ORDER BY originator_version DESC OFFSET 1 LIMIT 1
    )
"""


class SnapshotWriter:
    """Queues the latest head of each execution. Heads still queued at the end are dropped."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._changed = Condition()
        self._queued: OrderedDict[UUID, Head] = OrderedDict()
        self._closing = False
        self._connection: Connection[Any] | None = None
        self._secret = b""
        self._thread = Thread(target=self._run, name="placet-snapshots", daemon=True)
        self._thread.start()

    def offer(self, head: Head) -> None:
        """Queue a head for a snapshot. A later head of its execution replaces it."""
        with self._changed:
            self._queued[head.id] = head
            self._changed.notify()

    def close(self) -> None:
        """Finish the snapshot that is being written, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (head := self._next()) is not None:
            try:
                self._put(head)
            except psycopg.Error as error:
                # Snapshots are optional, and the next one is due some events later.
                _log.warning(
                    "snapshot_failed", id=str(head.id), version=head.version, error=str(error)
                )
                self._disconnect()
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("snapshot_failed", id=str(head.id), version=head.version)
        self._disconnect()

    def _next(self) -> Head | None:
        """Wait for a head, and return the one queued first. None at the end."""
        with self._changed:
            while not self._queued and not self._closing:
                self._changed.wait()
            return None if self._closing else self._queued.popitem(last=False)[1]

    def _put(self, head: Head) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(
                make_conninfo(self._conninfo, **CONNECTION_DEFAULTS),
                autocommit=True,
                application_name="placet-snapshots",
            )
            [(self._secret,)] = self._connection.execute(_KEY).fetchall()
        values = {
            "id": head.id,
            "version": head.version,
            "topic": SNAPSHOT_TOPIC,
            "state": encode_snapshot(head, self._secret),
        }
        self._connection.execute(_PUT, values)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
