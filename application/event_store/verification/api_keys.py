"""API keys: their rows are what their events give."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from application.event_store.directory_rows import ApiKeyRow, api_key_row
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from domain import authorization
from domain.directory.key_events import ApiKeyAdopted
from domain.directory.key_state import RecordedKey
from domain.identifiers import api_key_stream_id
from domain.names import is_reserved, same_name

KIND = "API key"
TABLE = "api_keys"

_COLUMNS = tuple(field.name for field in msgspec.structs.fields(ApiKeyRow))
# In the order of the fields of ApiKeyRow.
_ROWS = """
    SELECT name, owner, roles, groups, queues, encode(token_hash, 'hex'),
        CASE WHEN isfinite(created_at) THEN created_at END,
        CASE WHEN isfinite(expires_at) THEN expires_at END,
        CASE WHEN isfinite(revoked_at) THEN revoked_at END,
        created_by, revoked_by, generation,
        CASE WHEN isfinite(rotated_at) THEN rotated_at END, rotated_by,
        encode(previous_hash, 'hex'), CASE WHEN isfinite(previous_until) THEN previous_until END
    FROM api_keys
"""
_WRONG = "who has this key may do something else than was recorded; the row was changed"
_FORGED = "no server records this"


class ApiKeysAudit(Audit):
    """The row of each key that has events is as they give it.

    All rows are in memory: they are as many as there are keys.
    """

    streams: ClassVar[tuple[type, ...]] = (RecordedKey,)

    def __init__(self) -> None:
        self._keys = 0

    def open(self, database: Database) -> None:
        self._rows: dict[UUID, tuple[Any, ...]] = {
            api_key_stream_id(row[0]): tuple(row) for row in database.rows(_ROWS)
        }

    def event(self, step: Step) -> Iterable[Finding]:
        recorded, key = step.event.recorded, step.head.state
        assert isinstance(key, RecordedKey)
        if recorded.version > 1:
            return NOTHING
        found = []
        if api_key_stream_id(key.name) != recorded.execution_id:
            found.append(step.finding(KIND, f"its id is not that of {key.name!r}", _FORGED))
        if is_reserved(key.owner) and not isinstance(recorded.event, ApiKeyAdopted):
            found.append(step.finding(KIND, f"its owner is {key.owner!r}", _FORGED))
        by_server = same_name(recorded.actor.id, authorization.SERVICE.id)
        if isinstance(recorded.event, ApiKeyAdopted) != by_server:
            message = f"{recorded.actor.id!r} recorded {type(recorded.event).__name__}"
            found.append(step.finding(KIND, message, _FORGED))
        return found

    def ended(self, stream: Stream) -> Iterable[Finding]:
        self._keys += 1
        row = self._rows.pop(stream.id, None)
        if stream.head is None:
            return NOTHING
        key = stream.head.state
        assert isinstance(key, RecordedKey)
        return list(_row_flaws(stream, key, row))

    def checked(self) -> Iterable[str]:
        yield f"{self._keys} API keys: who made them, and their rows of api_keys"

    def notes(self) -> Iterable[str]:
        if self._rows:
            names = sorted(row[0] for row in self._rows.values())
            shown = ", ".join(map(repr, names[:5])) + (", ..." if names[5:] else "")
            yield (
                f"{len(names)} API keys have no events: {shown}. They were made before keys had "
                "events, or were added to the table. Rotate them, or revoke what nobody knows"
            )


def _row_flaws(stream: Stream, key: RecordedKey, row: tuple[Any, ...] | None) -> Iterator[Finding]:
    if row is None:
        yield stream.finding(TABLE, f"there is no row of {key.name!r}", "the row was removed")
        return
    expected = msgspec.structs.astuple(api_key_row(key))
    for column, wanted, found in zip(_COLUMNS, expected, row, strict=True):
        if _plain(wanted) != found:
            message = f"{column} of {key.name!r} is not what the events give"
            yield stream.finding(TABLE, message, _WRONG)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
