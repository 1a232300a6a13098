"""How a person wants to be told: by which channels, at once or once a day, and when not.

They are kept in a table and are no events: they say nothing of who may do what.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import structlog
from psycopg_pool import AsyncConnectionPool

from domain.names import normal

_log = structlog.get_logger(__name__)

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
MAX_CHANNELS = 50
DIGEST_MARGIN = timedelta(seconds=60)
"""A digest that is due within this time takes nothing new: it may be on its way already."""

_OF = "SELECT person, preferences FROM notification_preferences WHERE person = ANY (%s)"
_SET = """
    INSERT INTO notification_preferences (person, preferences) VALUES (%s, %s::jsonb)
    ON CONFLICT (person) DO UPDATE
    SET preferences = EXCLUDED.preferences, changed_at = clock_timestamp()
"""


class MessageTiming(StrEnum):
    """When a channel tells a person."""

    AT_ONCE = "AT_ONCE"
    """As soon as something happens, except in quiet hours."""
    DIGEST = "DIGEST"
    """Once a day, all together."""
    NEVER = "NEVER"
    """Not at all."""


class Preferences(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The preferences of one person. A channel that is not named tells at once.

    The times are as HH:MM in ``time_zone``, a name of the IANA time zone database. Quiet hours may
    go over midnight; without both times there are none.
    """

    channels: dict[str, MessageTiming] = {}
    digest_at: str = "08:00"
    quiet_from: str | None = None
    quiet_until: str | None = None
    time_zone: str = "UTC"

    def timing(self, channel: str) -> MessageTiming:
        """Return when a channel tells the person."""
        return self.channels.get(channel, MessageTiming.AT_ONCE)

    def problem(self) -> str | None:
        """Return the first rule that they break, or None."""
        if len(self.channels) > MAX_CHANNELS:
            return f"channels has more than {MAX_CHANNELS} entries"
        for name, value in (
            ("digestAt", self.digest_at),
            ("quietFrom", self.quiet_from),
            ("quietUntil", self.quiet_until),
        ):
            if value is not None and not _TIME.fullmatch(value):
                return f"{name} must be a time as HH:MM, such as 08:30"
        if (self.quiet_from is None) != (self.quiet_until is None):
            return "quietFrom and quietUntil belong together: give both, or neither"
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            return "quietFrom and quietUntil must differ; to hear nothing, set a channel to NEVER"
        if self.time_zone not in available_timezones():
            return f"timeZone {self.time_zone[:64]!r} is not known; give one such as Europe/Berlin"
        return None

    def first_moment(self, now: datetime) -> datetime:
        """Return ``now``, or the end of the quiet hours if it is within them."""
        if self.quiet_from is None or self.quiet_until is None:
            return now
        local = now.astimezone(ZoneInfo(self.time_zone))
        begin, end, at = self.quiet_from, self.quiet_until, local.strftime("%H:%M")
        quiet = begin <= at < end if begin < end else at >= begin or at < end
        return _next(local, end, also_again=True) if quiet else now

    def next_digest(self, now: datetime) -> datetime:
        """Return when the next digest is due to which something can still be added."""
        local = (now + DIGEST_MARGIN).astimezone(ZoneInfo(self.time_zone))
        return _next(local, self.digest_at)


DEFAULT = Preferences()


def _read(person: str, value: Any) -> Preferences:
    """Return the preferences of a row; the default for one that a newer server has written."""
    try:
        return msgspec.convert(value, Preferences)
    except msgspec.ValidationError as error:
        _log.warning("preferences_unreadable", person=person, error=str(error))
        return DEFAULT


def _next(local: datetime, at: str, *, also_again: bool = False) -> datetime:
    """Return the first moment after a local time at which the clock shows ``at``, in UTC.

    A time that the clock skips when it is put forward is as long after the one before. When it is
    put back, it shows a time twice: the second counts if ``also_again`` is true.
    """
    day, zone = local.date(), local.tzinfo
    while True:
        for fold in (0, 1) if also_again else (0,):
            shown = datetime.combine(day, time.fromisoformat(at), zone).replace(fold=fold)
            moment = shown.astimezone(UTC)
            if moment > local:
                return moment
        day += timedelta(days=1)


class PreferencesTable:
    """Reads and writes preferences. Raises psycopg errors or PoolTimeout."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def of(self, people: Iterable[str]) -> Mapping[str, Preferences]:
        """Return the preferences of those who have set any, by their ids in normal form."""
        ids = sorted({normal(person) for person in people})
        if not ids:
            return {}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_OF, [ids], prepare=True)
            rows = await cursor.fetchall()
        return {person: _read(person, value) for person, value in rows}

    async def set(self, person: str, preferences: Preferences) -> None:
        """Replace a person's preferences."""
        value = msgspec.json.encode(preferences).decode()
        async with self._pool.connection() as connection:
            await connection.execute(_SET, [normal(person), value])
