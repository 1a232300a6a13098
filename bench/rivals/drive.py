"""Measures one part of one contender, in a process of the contender's environment.

``python -m bench.rivals.drive CONTENDER PART``, with the other parameters as JSON on standard
input. Prints each result as a line of JSON.
"""

import asyncio
import importlib
import json
import platform
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg

from bench.rivals.contender import Open, Workspace
from bench.rivals.parts import PARTS, Measurement, Sizes
from bench.rivals.worker import Reports

CONTENDERS = {
    "placet": "bench.rivals.placet_side:PlacetSide",
    "restate": "bench.rivals.restate_side:RestateSide",
    "langgraph": "bench.rivals.langgraph_side:LangGraphSide",
    "dbos": "bench.rivals.dbos_side:DbosSide",
}


def give(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


async def main() -> None:
    _, name, part = sys.argv
    given = json.loads(sys.stdin.read())
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel, "SIGTERM")
    reports = Reports()
    workspace = Workspace(
        given["database"],
        Path(given["directory"]),
        Path(given["environment"]),
        reports.waits,
        reports.details,
    )
    module, _, side = CONTENDERS[name].partition(":")
    opens: Open = getattr(importlib.import_module(module), side).open
    async with opens(workspace) as contender:
        give({"versions": {**contender.versions, **_versions(workspace.database)}})
        measurement = Measurement(
            contender, reports, workspace.database, Sizes(**given["sizes"]), give
        )
        try:
            await PARTS[part](measurement)
        except ExceptionGroup as errors:
            # The lifecycles in flight all fail for the same reason, so the first error is enough.
            raise _first(errors) from None


def _first(errors: ExceptionGroup) -> Exception:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


def _versions(database: str) -> dict[str, str]:
    with psycopg.connect(database) as connection:
        server = connection.execute("SHOW server_version").fetchone()
    assert server is not None
    return {"PostgreSQL": str(server[0]), "Python": platform.python_version()}


if __name__ == "__main__":
    asyncio.run(main())
