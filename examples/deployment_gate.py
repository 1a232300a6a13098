r"""A deployment that two people must approve. It is then rolled out once, exactly as they saw it.

Run it beside a development server, then start a deployment and decide twice:

    PLACET_TOKEN=... python -m examples.deployment_gate
    placet --as operator start deploy --queue deployments \
        --input '{"service": "shop", "version": "2"}'
    placet --as approver-a approvals
"""

import asyncio
import os
from typing import Any

from placet import Engine, Rejected, Run, require

QUEUE = "deployments"
TWO_PEOPLE = require(2, group="finance")


def plan(release: dict[str, Any]) -> dict[str, Any]:
    """Return what would change. A real one queries the cluster."""
    return {**release, "replicas": 3, "strategy": "rolling"}


def roll_out(planned: dict[str, Any]) -> dict[str, Any]:
    """Change what is running. A real one calls the cluster's API."""
    return {"running": planned["version"], "replicas": planned["replicas"]}


def is_healthy(rolled_out: dict[str, Any]) -> bool:
    """Return whether it runs. A real one queries each replica, and raises until all answer."""
    return bool(rolled_out["replicas"])


async def deploy(run: Run, release: dict[str, Any]) -> dict[str, Any]:
    """Plan, ask two people, roll out the approved plan, and check the result."""
    planned = await run.step(plan, release)
    try:
        clearance = await run.approval(
            f"Deploy {release['service']} {release['version']}", payload=planned, policy=TWO_PEOPLE
        )
    except Rejected as rejected:
        return {"deployed": False, "because": str(rejected)}
    rolled_out = await run.step(roll_out, clearance.payload, clearance=clearance)
    healthy = await run.step(is_healthy, rolled_out, retries=5)
    return {"deployed": healthy, "by": [decision.by.id for decision in clearance.decisions]}


def engine(url: str, token: str, *, queue: str = QUEUE) -> Engine:
    """Return an engine that has the workflow."""
    made = Engine(url, token=token, queues=[queue])
    made.workflow(deploy)
    return made


if __name__ == "__main__":
    address = os.environ.get("PLACET_URL", "http://127.0.0.1:8000")
    asyncio.run(engine(address, os.environ["PLACET_TOKEN"]).serve())
