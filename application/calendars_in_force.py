"""Records which calendars are in force, when a server starts."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import structlog
from psycopg_pool import AsyncConnectionPool

from application.command_handling.outcomes import Accepted
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from domain.authorization import SERVICE
from domain.directory.calendars import RecordCalendar

_log = structlog.get_logger(__name__)

_IN_FORCE = "SELECT name FROM calendars WHERE definition IS NOT NULL"


class CalendarsInForce:
    """Records the calendars of this server, and that others are not in force any more.

    ``definitions`` has them as JSON, by their names. Of servers with different files, the one that
    has started last is right.
    """

    def __init__(
        self, pool: AsyncConnectionPool, writer: Writer, definitions: Mapping[str, Any]
    ) -> None:
        self._pool = pool
        self._writer = writer
        self._definitions = definitions

    async def start(self) -> None:
        """Record what has changed since the last start."""
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_IN_FORCE)).fetchall()
        before = {name for (name,) in rows}
        commands = [
            RecordCalendar(by=SERVICE, name=name, definition=self._definitions.get(name))
            for name in sorted(before | self._definitions.keys())
        ]
        requests = [Request(command=command, command_id=uuid4()) for command in commands]
        for command, outcome in zip(commands, await self._writer.handle(requests), strict=True):
            if not isinstance(outcome, Accepted):
                _log.error("calendar_not_recorded", name=command.name, reason=str(outcome))

    async def close(self) -> None:
        """Nothing is left to do."""
