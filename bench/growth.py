"""How much longer each filter and order of the API takes when the log has grown.

The same pages are read at 100,000 executions and at the full size, on one database.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import placet
from api.migration import migrate
from bench.copied_log import EVENTS_EACH, WAITING, create_indexes, drop_indexes, fill
from bench.measure import Bound, Result, percentile
from bench.pages import APPROVAL_FILTERS, EXECUTION_FILTERS
from bench.stack import stack
from placet import ApprovalFilter, ExecutionFilter
from placet.models.commands import EventFilter
from placet.models.enums import ApprovalOrder, ExecutionOrder

SMALL = 100_000
EVENTS = 5_000_000
LOOKS = 12
PAGE = 50
MOST = 2.0
FLOOR = 0.002
"""Seconds. A page that takes less is not counted as slower: its time is that of HTTP."""

# The executions that wait have numbers that WAITING divides, and so have their cities.
_CITY = f"city{2 * WAITING}"
_EXECUTIONS = {**EXECUTION_FILTERS, "text, one in 300": ExecutionFilter(text=_CITY)}
_APPROVALS = {**APPROVAL_FILTERS, "text, one in 15": ApprovalFilter(text=_CITY)}
del _APPROVALS["text, one in 30"]

Pages = dict[str, Callable[..., Awaitable[Any]]]


async def run(url: str, events: int = EVENTS) -> Result:
    """Measure, with this many events at the end."""
    executions = max(events // EVENTS_EACH, 2)
    small = min(SMALL, executions // 2)
    result = Result(f"Pages of {PAGE} at {small:,} and {executions:,} executions")
    await asyncio.to_thread(migrate, url)
    began = time.perf_counter()
    await asyncio.to_thread(_grow, url, 0, small, executions)
    before = await _measure(url)
    await asyncio.to_thread(_grow, url, small, executions, executions)
    filled = time.perf_counter() - began
    after = await _measure(url)
    ratios = {}
    for what, seconds in after.items():
        ratios[what] = max(seconds, FLOOR) / max(before[what], FLOOR)
        result.add(
            what,
            **{
                "small, p50 ms": before[what] * 1000,
                "grown, p50 ms": seconds * 1000,
                "times": ratios[what],
            },
        )
    slowest = max(ratios, key=ratios.__getitem__)
    result.bounds.append(Bound(f"times, {slowest}", ratios[slowest], MOST, at_least=False))
    result.notes.append(f"filled with {executions * EVENTS_EACH:,} events; {filled:.0f} s in all")
    return result


def _grow(url: str, first: int, last: int, of: int) -> None:
    drop_indexes(url)
    fill(url, first, last, of)
    create_indexes(url)


async def _measure(url: str) -> dict[str, float]:
    """Return the median seconds of each kind of page."""
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        async with (
            placet.Client(server.url, server.tokens["auditor"]) as auditor,
            placet.Client(server.url, server.tokens["approver-b"]) as approver,
        ):
            pages = _pages(auditor, approver)
            return {what: await _median(page) for what, page in pages.items()}


def _pages(auditor: placet.Client, approver: placet.Client) -> Pages:
    pages: Pages = {}
    for by in ExecutionOrder:
        for name, which in _EXECUTIONS.items():
            pages[f"executions, {by}, {name}"] = partial(
                auditor.executions, which, order=by, first=PAGE
            )
    for order in ApprovalOrder:
        for name, where in _APPROVALS.items():
            pages[f"approvals, {order}, {name}"] = partial(
                approver.approvals, where, order=order, first=PAGE
            )
    now = datetime.now(UTC)
    day = timedelta(days=1)
    for back in (1, 20, 49):
        pages[f"approvals pending {back} days ago"] = partial(
            auditor.approvals, as_of=now - back * day, first=PAGE
        )
    for name, events in {
        "all": None,
        "type": EventFilter(types=["StepCompleted"]),
        "type, one in 160": EventFilter(types=["ApprovalRequested"]),
        "type, none": EventFilter(types=["Parked"]),
        "actor": EventFilter(actor=["engine"]),
        "actor, none": EventFilter(actor=["nobody"]),
        "actor, types": EventFilter(actor=["operator"], types=["Started", "Cancelled"]),
        "actor, type, none": EventFilter(actor=["operator"], types=["StepCompleted"]),
        "since yesterday": EventFilter(since=now - day),
        "until": EventFilter(until=now - 49 * day),
        "one hour": EventFilter(since=now - 20 * day, until=now - 20 * day + day / 24),
        "workflow": EventFilter(workflow=["payment"]),
        "workflow, none": EventFilter(workflow=["none"]),
        "actor, since yesterday": EventFilter(actor=["operator"], since=now - day),
    }.items():
        pages[f"events, {name}"] = partial(auditor.events, events, first=PAGE)
    return pages


async def _median(page: Callable[..., Awaitable[Any]]) -> float:
    """Read page after page, and start again after the last one."""
    after: str | None = None
    taken = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        found = await page(after=after)
        taken.append(time.perf_counter() - began)
        after = found.next
    return percentile(taken, 0.5)
