"""Pages of 50 at 100,000 executions and 10,000 pending approvals, each order and filter."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import placet
from bench.log_load import ask, complete, send, start, writer
from bench.measure import Result, milliseconds
from bench.stack import stack
from placet import ApprovalFilter, ApprovalStatus, ExecutionFilter, ExecutionState
from placet.models.commands import LabelInput
from placet.models.enums import ApprovalOrder, ExecutionOrder
from projections.registry import MODELS
from projections.runtime.rebuild import rebuild

EXECUTIONS = 100_000
PENDING = 10_000
LOOKS = 40
PAGE = 50

EXECUTION_FILTERS = {
    "all": None,
    "state": ExecutionFilter(state=[ExecutionState.WAITING_APPROVAL]),
    "workflow": ExecutionFilter(workflow=["payment"]),
    "queue": ExecutionFilter(queue=["night"]),
    "initiator": ExecutionFilter(initiator=["operator"]),
    "label, one in 50": ExecutionFilter(labels=[LabelInput(name="team", value="team7")]),
    "label, one in all": ExecutionFilter(labels=[LabelInput(name="case", value="4711")]),
    "text, one in 300": ExecutionFilter(text="city44"),
    "text, none": ExecutionFilter(text="nowhere"),
    "state, workflow, label": ExecutionFilter(
        state=[ExecutionState.WAITING_APPROVAL],
        workflow=["travel"],
        labels=[LabelInput(name="team", value="team8")],
    ),
}
APPROVAL_FILTERS = {
    "all": None,
    "pending": ApprovalFilter(status=[ApprovalStatus.PENDING]),
    "mine to decide": ApprovalFilter(decidable_by_viewer=True),
    "group": ApprovalFilter(group=["finance"]),
    "workflow": ApprovalFilter(workflow=["payment"]),
    "text, one in 30": ApprovalFilter(text="city44"),
    "text, none": ApprovalFilter(text="nowhere"),
}


async def run(url: str) -> Result:
    """Measure."""
    result = Result(f"Pages of {PAGE} through GraphQL, {EXECUTIONS:,} executions")
    began = time.perf_counter()
    position = await fill(url)
    seconds = time.perf_counter() - began
    result.notes.append(
        f"filled with {position:,} events in {seconds:.0f} s ({position / seconds:,.0f}/s)"
    )
    for model in MODELS.values():
        await asyncio.to_thread(rebuild, url, model)
    with tempfile.TemporaryDirectory() as data, stack(Path(data), database_url=url) as server:
        async with (
            placet.Client(server.url, server.tokens["auditor"]) as auditor,
            placet.Client(server.url, server.tokens["approver-b"]) as approver,
        ):
            for by in ExecutionOrder:
                for name, which in EXECUTION_FILTERS.items():
                    page = partial(auditor.executions, which, order=by, first=PAGE)
                    result.add(f"executions, {by}, {name}", **await _pages(page))
            for order in ApprovalOrder:
                for name, where in APPROVAL_FILTERS.items():
                    listed = partial(approver.approvals, where, order=order, first=PAGE)
                    result.add(f"approvals of one group, {order}, {name}", **await _pages(listed))
            counted = partial(auditor.executions, first=PAGE, count=True)
            result.add("executions, all, with totalCount", **await _pages(counted))
    return result


async def _pages(page: Callable[..., Awaitable[Any]]) -> dict[str, float | str]:
    """Read page after page, and start again after the last one."""
    after: str | None = None
    latencies, rows = [], 0
    for _ in range(LOOKS):
        began = time.perf_counter()
        found = await page(after=after)
        latencies.append(time.perf_counter() - began)
        rows += len(found.edges)
        after = found.next
    return {**milliseconds(latencies), "rows a page": rows / LOOKS}


async def fill(url: str) -> int:
    """Start executions, some of which wait and some of which have ended. Returns the position."""
    async with writer(url) as to:
        position = 0
        waiting = EXECUTIONS // PENDING
        for first in range(0, EXECUTIONS, 5_000):
            commands: list[Any] = []
            for number in range(first, first + 5_000):
                id_: UUID = uuid4()
                commands.append(start(number, id_))
                # Not exactly every tenth, or all pending approvals would be of one workflow.
                if number % waiting == (number // waiting) % waiting:
                    commands.append(ask(number, id_))
                elif number % 3:
                    commands.append(complete(id_))
            position = await send(to, commands)
    return position
