"""Who is whose substitute now, kept in memory so that a request does not ask the database.

All substitutions in force are read at once, because there are few. They are read again each half
second while requests come, so a substitution that begins, ends early or changes takes effect within
a second. That it ends at its time is checked again when a command is decided, by the database's
clock.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from application.background_tasks import stop
from domain.names import folded
from domain.values import Absence, Principal

_log = structlog.get_logger(__name__)

REMEMBER_SECONDS = 1.0
IN_USE_SECONDS = 600.0

# Those that begin soon too, so that they are known when they do. Whoever was deactivated has no
# substitute, nor has who could not decide: without the role, as when all their keys were revoked,
# or as an engine.
_IN_FORCE = """
    SELECT clock_timestamp() AS now, s.substitute, s.person, s.number, s.groups, s.starts_at,
        s.ends_at, p.name, p.groups AS all_groups
    FROM substitutes AS s JOIN people AS p ON p.stream_id = s.stream_id
    WHERE s.ends_at > clock_timestamp() AND s.starts_at < clock_timestamp() + interval '10 seconds'
        AND p.active AND 'APPROVER' = ANY (p.roles) AND NOT 'ENGINE' = ANY (p.roles)
    ORDER BY s.starts_at, s.person COLLATE "C", s.number
"""
_DEACTIVATED = "SELECT id FROM people WHERE NOT active"

Authenticate = Callable[[str | None], Awaitable[Principal | None]]


class Substitutes:
    """The substitutions of one database. Raises psycopg errors if it is unavailable.

    ``read_again`` says whether to try a read once more that failed with an error.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        *,
        remember: float = REMEMBER_SECONDS,
        read_again: Callable[[BaseException], Awaitable[bool]] | None = None,
    ) -> None:
        self._pool = pool
        self._remember = remember
        self._read_again = read_again
        self._absences: Mapping[str, tuple[Absence, ...]] = {}
        self._until = self._used = -math.inf
        self._ahead = timedelta(0)
        self._asking: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to read them again in the background, while requests come."""
        self._tasks = [asyncio.create_task(self._refresh_for_ever(), name="placet-substitutes")]

    async def close(self) -> None:
        """Stop it."""
        await stop(self._tasks)

    async def of(self, principal: Principal) -> Principal:
        """Return the principal with the people whose substitute it is now."""
        now = self._used = time.monotonic()
        while now >= self._until:
            await self._current()
        if not self._absences:
            return principal
        absences = self._absences.get(principal.id)
        if absences is None:
            return principal
        at = datetime.now(UTC) + self._ahead
        return msgspec.structs.replace(principal, stands_in_for=absences).at(at)

    def after(self, authenticate: Authenticate) -> Authenticate:
        """Return a function that authenticates a token, and adds whose substitute its owner is."""

        async def authenticated(token: str | None) -> Principal | None:
            principal = await authenticate(token)
            if principal is None:
                return None
            now = time.monotonic()
            if now < self._until and not self._absences:
                # So it is nearly always, and no request shall pay for those who are away.
                self._used = now
                return principal
            return await self.of(principal)

        return authenticated

    def forget(self) -> None:
        """Read them again at the next request, because one of them was changed here."""
        self._until = -math.inf

    async def _current(self) -> None:
        # If many requests come at once, only one of them queries the database.
        # One that has ended is not waited for: that would give no other task a turn.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._read())
        await asyncio.shield(self._asking)

    async def _read(self) -> None:
        # Whoever changes one while this is read forgets what is read.
        self._until = now = time.monotonic()
        try:
            rows = await self._rows()
        except psycopg.Error as error:
            if self._read_again is None or not await self._read_again(error):
                raise
            rows = await self._rows()
        absences = defaultdict(list)
        for row in rows:
            absences[row["substitute"]].append(_absence(row))
        self._absences = {substitute: tuple(each) for substitute, each in absences.items()}
        if rows:
            self._ahead = rows[0]["now"] - datetime.now(UTC)
        if self._until == now:
            self._until = now + self._remember

    async def _rows(self) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(_IN_FORCE)
            rows = await cursor.fetchall()
            if not rows:
                return []
            # Whoever was deactivated under another spelling of their id can't act either.
            await cursor.execute(_DEACTIVATED)
            deactivated = {folded(each["id"]) for each in await cursor.fetchall()}
            return [row for row in rows if folded(row["person"]) not in deactivated]

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._remember / 2)
            if self._used < time.monotonic() - IN_USE_SECONDS:
                continue
            try:
                await self._current()
            except psycopg.Error:
                # The next request reads them itself, and gets this error.
                continue
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("substitutes_not_refreshed")


def _absence(row: dict[str, Any]) -> Absence:
    groups = frozenset(row["all_groups"])
    return Absence(
        id=row["person"],
        name=row["name"],
        groups=groups if row["groups"] is None else groups.intersection(row["groups"]),
        only_groups=row["groups"] is not None,
        since=row["starts_at"].astimezone(UTC),
        until=row["ends_at"].astimezone(UTC),
        number=row["number"],
    )
