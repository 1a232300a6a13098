"""Runs whose workflows wait: put away after a while, but for some long ones that stay."""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from placet.engine.execution_runner import ExecutionRunner

SWEEP_SECONDS = 1.0
LONG = 1_000
"""A workflow that has asked for so much takes longer to replay than it saves by being put away."""
STAYING = 100
"""Long workflows that stay in memory. Each takes some hundred kilobytes for a thousand steps."""


class IdleRunners:
    """The runs of one engine whose workflows wait and are in memory.

    ``put_away_after``: in seconds. ``spawn`` starts the task that puts them away.
    """

    def __init__(
        self, put_away_after: float, spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._put_away_after = put_away_after
        self._spawn = spawn
        # Since when each waits, the one that has waited longest first.
        self._since: dict[ExecutionRunner, float] = {}
        # Long workflows that were not put away, in the same order.
        self._staying: dict[ExecutionRunner, None] = {}
        self._sweeping = False

    def add(self, runner: ExecutionRunner) -> None:
        """Note that a workflow has begun to wait."""
        self.remove(runner)
        self._since[runner] = monotonic()
        if not self._sweeping:
            self._sweeping = True
            self._spawn(self._sweep())

    def remove(self, runner: ExecutionRunner) -> None:
        """Note that a workflow goes on, or is gone."""
        self._since.pop(runner, None)
        self._staying.pop(runner, None)

    async def _sweep(self) -> None:
        """Put away workflows that have waited long enough, as long as any wait."""
        while self._since:
            await asyncio.sleep(min(SWEEP_SECONDS, self._put_away_after))
            due = monotonic() - self._put_away_after
            while self._since:
                runner, since = next(iter(self._since.items()))
                if since > due:
                    break
                del self._since[runner]
                if runner.length < LONG:
                    runner.put_away()
                else:
                    self._stay(runner)
        self._sweeping = False

    def _stay(self, runner: ExecutionRunner) -> None:
        """Keep a long workflow in memory, in place of the one that has waited longest."""
        self._staying[runner] = None
        while len(self._staying) > STAYING:
            oldest = next(iter(self._staying))
            del self._staying[oldest]
            oldest.put_away()
