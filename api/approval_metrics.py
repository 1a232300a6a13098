"""Metrics about approvals, read from the read model when they are scraped.

All servers of one database give the same numbers, so a query takes ``max`` over them, not ``sum``.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import psycopg
import structlog
from prometheus_client import REGISTRY, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from projections.approvals.numbers import ApprovalNumbers, Numbers, PendingOf
from projections.approvals.statistics import middle_of

_log = structlog.get_logger(__name__)

READ_WITHIN = 5.0
"""Seconds. A scrape must not wait for a database that does not answer."""
MAX_GROUPS = 100
MAX_WORKFLOWS = 100
"""How many have a label of their own. All others have one together, so that labels stay few."""
OTHERS = "(others)"
NAMED = "(named people)"
"""The label for approvals that ask people by name only."""

PENDING = Gauge("placet_approvals_pending", "Approvals that wait")
PENDING_BY_GROUP = Gauge(
    "placet_approvals_pending_by_group",
    "Approvals that wait for a group; one that asks two groups counts for both",
    ["group"],
)
OLDEST = Gauge(
    "placet_approvals_oldest_pending_seconds",
    "For how long the approval waits that has waited longest for a group",
    ["group"],
)
BOUNDS = (10, 60, 300, 900, 3_600, 14_400, 86_400, 259_200, 604_800, 2_592_000)
"""Seconds: up to a minute, an hour, a day, a week, thirty days, and between these."""


class DecisionTimes(Collector):
    """The histogram of the times from the request to the decision, since the first approval.

    The read model has times to within 12%, and so has the sum.
    """

    def __init__(self) -> None:
        self._workflows: dict[str, tuple[list[int], float]] = {}

    def take(self, took: Mapping[str, Mapping[int, int]]) -> None:
        """Take the numbers of decisions by workflow and bucket.

        A workflow that has a label keeps it. No number ever becomes smaller: a rate would take
        that for a new beginning.
        """
        known = {name: took.get(name, {}) for name in self._workflows if name != OTHERS}
        largest = sorted(took.keys() - known, key=lambda name: (-sum(took[name].values()), name))
        room = MAX_WORKFLOWS - len(known)
        shown = known | {name: took[name] for name in largest[:room]}
        rest: dict[int, int] = {}
        for name in largest[room:]:
            for bucket, number in took[name].items():
                rest[bucket] = rest.get(bucket, 0) + number
        if rest:
            shown[OTHERS] = rest
        for name, numbers in shown.items():
            counts, total = _histogram(numbers)
            before, before_total = self._workflows.get(name, (counts, total))
            at_least = [max(pair) for pair in zip(counts, before, strict=True)]
            self._workflows[name] = at_least, max(total, before_total)

    def clear(self) -> None:
        """Forget all numbers."""
        self._workflows = {}

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Return the metric without numbers."""
        yield HistogramMetricFamily(
            "placet_approval_decision_seconds",
            "Time from the request of an approval to its decision by people",
            labels=["workflow"],
        )

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return the metric."""
        [family] = self.describe()
        bounds = [*map(str, BOUNDS), "+Inf"]
        for name, (counts, total) in sorted(self._workflows.items()):
            family.add_metric([name], list(zip(bounds, counts, strict=True)), total)
        yield family


DECISION_TIMES = DecisionTimes()
REGISTRY.register(DECISION_TIMES)


class ApprovalMetrics:
    """Brings the metrics up to date."""

    def __init__(self, numbers: ApprovalNumbers) -> None:
        self._numbers = numbers

    async def refresh(self) -> None:
        """Read the numbers, if those that are there are too old.

        If they can't be read, what waits is not shown, rather than shown as it was before.
        """
        numbers: Numbers | None = None
        try:
            async with asyncio.timeout(READ_WITHIN):
                numbers = await self._numbers.read()
        except (psycopg.Error, PoolTimeout, TimeoutError) as error:
            _log.debug("approval_metrics_unreadable", error=str(error))
        clear()
        if numbers is None:
            return
        PENDING.set(numbers.pending)
        for group, pending in _labelled(numbers).items():
            PENDING_BY_GROUP.labels(group).set(pending.number)
            OLDEST.labels(group).set(pending.oldest)
        DECISION_TIMES.take(numbers.took)


def clear() -> None:
    """Show nothing as waiting."""
    PENDING.set(float("nan"))
    PENDING_BY_GROUP.clear()
    OLDEST.clear()


def _labelled(numbers: Numbers) -> dict[str, PendingOf]:
    """Return what waits by label: the groups for which most wait have their own."""
    most = sorted(numbers.groups, key=lambda name: (-numbers.groups[name].number, name))
    found = {name: numbers.groups[name] for name in most[:MAX_GROUPS]}
    for name in most[MAX_GROUPS:]:
        other = numbers.groups[name]
        found[OTHERS] = found[OTHERS].plus(other) if OTHERS in found else other
    if numbers.named.number:
        found[NAMED] = numbers.named
    return found


def _histogram(numbers: Mapping[int, int]) -> tuple[list[int], float]:
    """Return how many took up to each bound and in all, and the sum of the seconds."""
    counts = [0] * (len(BOUNDS) + 1)
    total = 0.0
    for bucket, number in numbers.items():
        seconds = middle_of(bucket).total_seconds()
        total += number * seconds
        counts[bisect_left(BOUNDS, seconds)] += number
    for index in range(1, len(counts)):
        counts[index] += counts[index - 1]
    return counts, total
