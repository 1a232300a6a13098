"""Workflows in memory, to their end."""

from typing import Any

from placet.testing import Trial


async def result(workflow: Any, given: Any = None) -> Any:
    async with Trial(workflow, given) as trial:
        return await trial.result()
