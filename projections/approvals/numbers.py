"""Numbers about all approvals for metrics: what waits by group, and how long decisions took.

They are read when somebody asks, and kept for a while: at least FRESH seconds, and twenty times as
long as the reading took, so that it costs the database a twentieth of one connection at most.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from typing import Any, LiteralString, NamedTuple

import msgspec
import psycopg

from projections.approvals.projection import APPROVALS
from projections.approvals.statistics import BY_PEOPLE
from projections.querying.page_query import Pool
from projections.querying.snapshot import snapshot

FRESH = 15.0
SHARE = 20

_VERSION: LiteralString = "SELECT version FROM projection_positions WHERE name = 'approvals'"
_PENDING: LiteralString = """
    SELECT asked, count(*),
        extract(epoch FROM statement_timestamp() - min(requested_at))::double precision
    FROM approvals WHERE status = 'PENDING' GROUP BY asked
"""
# Days that are over change by late repairs only, so they are added up once a day.
_UNTIL: LiteralString = """
    SELECT workflow, took, sum(number)::bigint FROM approval_days
    WHERE day < %(day)s AND outcome = ANY (%(outcomes)s) GROUP BY workflow, took
"""
_SINCE: LiteralString = """
    SELECT workflow, took, sum(number)::bigint FROM approval_days
    WHERE day >= %(day)s AND outcome = ANY (%(outcomes)s) GROUP BY workflow, took
"""
_YESTERDAY: LiteralString = "SELECT (statement_timestamp() AT TIME ZONE 'UTC')::date - 1"

Took = dict[str, Counter[int]]
"""How many decisions there were, by workflow and by the bucket of the time that they took."""


class PendingOf(NamedTuple):
    """How many approvals wait, and for how many seconds the oldest of them does."""

    number: int
    oldest: float

    def plus(self, other: "PendingOf") -> "PendingOf":
        """Return the same for both together."""
        return PendingOf(self.number + other.number, max(self.oldest, other.oldest))


NONE_PENDING = PendingOf(0, 0.0)


class Numbers(NamedTuple):
    """What was read. An approval that asks two groups counts for both.

    ``groups`` has those that ask a group, by its normal form; ``named`` are those that ask people
    by name only. ``took``: of the decisions of people, since the first.
    """

    pending: int
    groups: Mapping[str, PendingOf]
    named: PendingOf
    took: Mapping[str, Mapping[int, int]]


class ApprovalNumbers:
    """Reads the numbers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last: Numbers | None = None
        self._good_until = 0.0
        self._lock = asyncio.Lock()
        # The sums of the days before this one.
        self._day: date | None = None
        self._before: Took = {}

    async def read(self) -> Numbers | None:
        """Return the numbers; None if the read model can't be used.

        Raises psycopg errors and PoolTimeout if the database is unavailable.
        """
        async with self._lock:
            if time.monotonic() < self._good_until:
                return self._last
            began = time.monotonic()
            self._last = await self._fetch()
            ended = time.monotonic()
            self._good_until = ended + max(FRESH, SHARE * (ended - began))
            return self._last

    async def _fetch(self) -> Numbers | None:
        try:
            async with snapshot(self._pool) as connection:

                async def rows(
                    statement: LiteralString, params: Mapping[str, Any] | None = None
                ) -> list[tuple[Any, ...]]:
                    return await (await connection.execute(statement, params)).fetchall()

                if await rows(_VERSION) != [(APPROVALS.version,)]:
                    return None
                waiting = await rows(_PENDING)
                [(day,)] = await rows(_YESTERDAY)
                params = {"day": day, "outcomes": list(BY_PEOPLE)}
                if day != self._day:
                    self._before = _added({}, await rows(_UNTIL, params))
                    self._day = day
                since = await rows(_SINCE, params)
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
            return None
        groups: defaultdict[str, PendingOf] = defaultdict(lambda: NONE_PENDING)
        named, total = NONE_PENDING, 0
        for asked, number, oldest in waiting:
            one = PendingOf(number, oldest)
            total += number
            names = msgspec.json.decode(asked, type=list[str])
            for name in names:
                groups[name] = groups[name].plus(one)
            if not names:
                named = named.plus(one)
        return Numbers(total, dict(groups), named, _added(self._before, since))


def _added(before: Took, rows: list[tuple[Any, ...]]) -> Took:
    """Return the numbers with those of rows added."""
    sums = {workflow: Counter(numbers) for workflow, numbers in before.items()}
    for workflow, took, number in rows:
        sums.setdefault(workflow, Counter())[took] += number
    return sums
