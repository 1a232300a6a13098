"""Random workflows whose engine is killed again and again end as if nothing had happened."""

import asyncio
import random
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from placet import ApprovalStatus
from placet.errors import AlreadyDecided
from tests.sdk.people import People, Server
from tests.sdk.random_workflow import DOUBT, expected, program
from tests.support.patience import HANGS

WORKFLOWS = 12
KILLS = 5


async def grant_all(people: People, ids: list[str]) -> None:
    """Grant whatever is asked, for ever."""
    operator, approver = await people.get("operator"), await people.get("approver-a")
    while True:
        for execution_id in ids:
            history = await operator.history(execution_id)
            assert history is not None
            for approval in history.approvals:
                if approval.status is ApprovalStatus.PENDING:
                    with suppress(AlreadyDecided):
                        await approver.grant(approval)
        await asyncio.sleep(0.05)


def same(result: Any, wanted: Any) -> bool:
    """Whether a result is the one that is wanted, but for doubts."""
    if isinstance(wanted, list):
        fits = isinstance(result, list) and len(result) == len(wanted)
        return fits and all(map(same, result, wanted))
    return bool(result == wanted) or (result == DOUBT and str(wanted).startswith("paid "))


async def test_they_end_with_their_results_and_pay_no_more_than_once(
    people: People, server: Server, tmp_path: Path
) -> None:
    chance = random.Random(19)
    payments, queue = tmp_path / "payments", f"queue-{uuid4()}"
    payments.touch()
    programs = [program(chance) for _ in range(WORKFLOWS)]
    operator = await people.get("operator")
    ids = []
    for given in programs:
        execution = (await operator.start("programmed", given, queue=queue)).execution
        assert execution is not None
        ids.append(execution.id)

    async def engine() -> Process:
        token = server.tokens["engine"]
        arguments = ("-m", "tests.sdk.random_workflow", server.url, token, queue, str(payments))
        return await asyncio.create_subprocess_exec(sys.executable, *arguments)

    async def recorded() -> tuple[int, bool]:
        """Return how many events there are, and whether any workflow is still under way."""
        found = [each for id_ in ids if (each := await operator.execution(id_)) is not None]
        return sum(each.version for each in found), not all(each.state.final for each in found)

    granting = asyncio.create_task(grant_all(people, ids))
    process = await engine()
    kills = 0
    try:
        for _ in range(KILLS):
            # After it has recorded something, at a moment that nobody chose.
            before, going = await recorded()
            now, more = before, chance.randint(5, 20)
            async with asyncio.timeout(HANGS):
                while going and now < before + more:
                    now, going = await recorded()
            kills += going
            process.kill()
            await process.wait()
            process = await engine()
        ended = [await people.ended(each) for each in ids]
    finally:
        granting.cancel()
        process.kill()
        await process.wait()
    assert [each.error for each in ended] == [None] * WORKFLOWS
    for given, result in zip(programs, [each.result for each in ended], strict=True):
        assert same(result, expected(given)), (given, result)
    paid = payments.read_text().split()
    assert len(paid) == len(set(paid))
    assert kills >= 2
    assert "paid" in str(ended)
