"""Runs the measuring process of one part in its contender's environment, and always ends it."""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from bench.rivals.environment import ENVIRONMENT, ROOT
from bench.rivals.parts import Sizes, fill_within

PART_WITHIN = 240.0
END_WITHIN = 60.0
LONGEST_LINE = 2**26
LAST_WORDS = 2_000
# Environment variables with these prefixes are not passed on.
_NOT_HANDED_ON = (
    "DBOS",
    "LANGCHAIN",
    "LANGGRAPH",
    "LANGSMITH",
    "PG",
    "PLACET",
    "PYTHON",
    "RESTATE",
)

Figures = dict[str, Any]


class PartError(Exception):
    """A part could not be measured. The message says why."""


async def measured(
    python: str, contender: str, part: str, database: str, sizes: Sizes
) -> AsyncIterator[Figures]:
    """Measure one part, and yield its figures as they come. Raises PartError."""
    within = PART_WITHIN + sum(map(fill_within, sizes.waiting)) * (part == "waiting")
    with tempfile.TemporaryDirectory(prefix="placet-bench-") as directory:
        log = Path(directory) / "log"
        given = {
            "database": database,
            "directory": f"{directory}/contender",
            "environment": str(ENVIRONMENT),
            "sizes": asdict(sizes),
        }
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(python, "-m", "bench.rivals.drive", contender, part),
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                cwd=ROOT,
                limit=LONGEST_LINE,
                # So that Ctrl-C reaches this process alone, which then ends the other in order.
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if not k.startswith(_NOT_HANDED_ON)},
            )
        try:
            async with asyncio.timeout(within):
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(given).encode())
                process.stdin.close()
                async for line in process.stdout:
                    yield json.loads(line)
                code = await process.wait()
        except TimeoutError:
            raise PartError(f"not over within {within:g} s") from None
        finally:
            await _end(process)
        if code != 0:
            output = log.read_text(errors="replace").strip() or "nothing"
            print(output[-LAST_WORDS:], file=sys.stderr)
            raise PartError(f"ended with {code} and said: {output.splitlines()[-1]}")


async def _end(process: Process) -> None:
    """End the process and its child processes, in order if possible."""
    if process.returncode is not None:
        return
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        async with asyncio.timeout(END_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    for left in children:
        # psutil checks that the process id was not reused.
        with suppress(psutil.NoSuchProcess):
            left.kill()
