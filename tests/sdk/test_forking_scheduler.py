"""The blocking client in tasks of a scheduler that forks."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections import defaultdict
from typing import Any

from tests.sdk.forking_scheduler import TASKS
from tests.sdk.people import People, Server
from tests.support.patience import HANGS


async def test_each_forked_task_waits_for_its_own_decision_and_ends(
    people: People, server: Server
) -> None:
    approver = await people.get("approver-a")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "tests.sdk.forking_scheduler"),
        *(server.url, json.dumps(server.tokens)),
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    told: dict[str, dict[str, Any]] = defaultdict(dict)
    try:
        async with asyncio.timeout(HANGS):
            async for line in process.stdout:
                said = json.loads(line)
                told[said.pop("task")] |= said
                if "approval" in said:
                    asked = await approver.approval(said["approval"])
                    assert asked is not None
                    await approver.grant(asked)
            assert (await process.stderr.read()).decode() == ""
            assert await process.wait() == 0
    finally:
        # With all tasks, which hold its output open.
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    results = {name: (said["result"], said["code"]) for name, said in told.items()}
    assert results == dict.fromkeys(TASKS, ("GRANTED", 0))
