"""Numbers about all approvals: what waits now, and what became of the others by day and workflow.

What it reads is bounded, however many approvals there are: at most 10,000 that wait, and a row for
each day, workflow, outcome and bucket of time.
"""

import time
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from projections.approvals.projection import APPROVALS
from projections.querying.checkpoints import Checkpoints
from projections.querying.keyset_pages import BehindError
from projections.querying.page_query import Pool
from projections.querying.snapshot import snapshot

WAITING = 10_000
"""How many of those that wait are looked at: the ones that wait longest."""
FRESH = 5.0
"""Seconds for which the numbers are good enough for other readers."""
AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=3), timedelta(days=7))
"""The bounds between the ages of those that wait."""

_VERSION: LiteralString = "SELECT version FROM projection_positions WHERE name = 'approvals'"
# Rows that ask the same groups are counted together before anything else is done with them.
_WAITING: LiteralString = """
    SELECT asked, age, count(*), count(*) FILTER (WHERE escalated), count(*) FILTER (WHERE late)
    FROM (
        SELECT asked, escalated_on IS NOT NULL AS escalated, due < statement_timestamp() AS late,
            width_bucket(statement_timestamp() - requested_at, %(ages)s::interval[]) AS age
        FROM approvals WHERE status = 'PENDING' ORDER BY requested_at LIMIT %(limit)s
    ) AS waiting
    GROUP BY asked, age
"""
_DAYS: LiteralString = """
    SELECT day, workflow, outcome, took, sum(number)::bigint
    FROM approval_days
    WHERE day > %(today)s - %(days)s::integer AND day <= %(today)s AND number > 0
    GROUP BY GROUPING SETS ((day, outcome), (workflow, outcome, took))
"""
_TODAY: LiteralString = "SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Approvals that wait. ``by_age`` has a number for each age, the youngest first.

    ``groups`` has the same for each group that is asked, in normal form; an approval that asks two
    groups is in both. ``no_group`` are those that ask people by name only. ``escalated`` and
    ``late`` are how many of them were escalated, and how many have passed their deadline. If
    ``more``, there are further ones, which wait less long.
    """

    by_age: list[int]
    groups: dict[str, list[int]]
    no_group: list[int]
    escalated: int
    late: int
    more: bool

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.by_age)


class WorkflowEndings(msgspec.Struct, frozen=True):
    """How the approvals of one workflow ended: how many by outcome, and by bucket of time."""

    outcomes: Counter[str]
    took: dict[str, Counter[int]]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers. ``days`` has each day of the period in order, also those with nothing."""

    waiting: Waiting
    days: dict[date, Counter[str]]
    workflows: dict[str, WorkflowEndings]


class _Found(NamedTuple):
    waiting: list[tuple[Any, ...]]
    ended: list[tuple[Any, ...]]
    today: date


class ApprovalOverview:
    """Reads the numbers. Whoever asks must be somebody who sees all approvals."""

    def __init__(self, pool: Pool, checkpoints: Checkpoints | None = None) -> None:
        self._pool = pool
        self._checkpoints = checkpoints or Checkpoints()
        self._last: tuple[float, int, Overview] | None = None

    async def read(self, days: int, *, at_least: int | None = None) -> Overview:
        """Return the numbers of these last days in UTC, today included.

        Numbers that were read for another reader less than five seconds ago are returned again.
        Raises BehindError if the read model does not reach the position ``at_least`` in time.
        """
        if self._last is not None and self._last[1] == days:
            read_at, _, overview = self._last
            if time.monotonic() - read_at < FRESH:
                return overview
        if at_least is not None:
            await self._checkpoints.wait(self._pool, APPROVALS.name, at_least)
        found = await self._fetch(days)
        period = [found.today - timedelta(days=ago) for ago in reversed(range(days))]
        by_day: dict[date, Counter[str]] = {day: Counter() for day in period}
        workflows: dict[str, WorkflowEndings] = {}
        for day, workflow, outcome, took, number in found.ended:
            if day is not None:
                by_day[day][outcome] = number
                continue
            ends = workflows.setdefault(workflow, WorkflowEndings(Counter(), defaultdict(Counter)))
            ends.outcomes[outcome] += number
            ends.took[outcome][took] += number
        overview = Overview(waiting=_waiting(found.waiting), days=by_day, workflows=workflows)
        self._last = (time.monotonic(), days, overview)
        return overview

    async def _fetch(self, days: int) -> _Found:
        try:
            async with snapshot(self._pool) as connection:
                version = await (await connection.execute(_VERSION)).fetchone()
                if version != (APPROVALS.version,):
                    raise _unusable()
                params = {"ages": list(AGES), "limit": WAITING + 1}
                waiting = await connection.execute(_WAITING, params)
                pending = await waiting.fetchall()
                [(today,)] = await (await connection.execute(_TODAY)).fetchall()
                ended = await connection.execute(_DAYS, {"days": days, "today": today})
                counted = await ended.fetchall()
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            raise _unusable() from error
        return _Found(pending, counted, today)


def _unusable() -> BehindError:
    return BehindError(
        "the read model 'approvals' is missing or has the tables of another version of this"
        " program; run: placet-server migrate, and placet-server rebuild if it asks for it"
    )


def _waiting(rows: list[tuple[Any, ...]]) -> Waiting:
    ages = len(AGES) + 1
    by_age, no_group = [0] * ages, [0] * ages
    groups: dict[str, list[int]] = {}
    for asked, age, number, _, _ in rows:
        by_age[age] += number
        names = msgspec.json.decode(asked, type=list[str])
        for name in names:
            groups.setdefault(name, [0] * ages)[age] += number
        if not names:
            no_group[age] += number
    return Waiting(
        by_age=by_age,
        groups=groups,
        no_group=no_group,
        escalated=sum(row[3] for row in rows),
        late=sum(row[4] for row in rows),
        more=sum(by_age) > WAITING,
    )
