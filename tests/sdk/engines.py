"""Engines for tests, on a queue of their own, and executions for them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from placet import Engine
from tests.sdk.people import People, Server, until

Made = Callable[..., Engine]


def maker(server: Server) -> Made:
    """Make engines that share a queue, so that one takes over from another."""
    queue = f"queue-{uuid4()}"

    def made(**settings: Any) -> Engine:
        settings = {"drain": timedelta(seconds=0.1), **settings}
        return Engine(server.url, token=server.tokens["engine"], queues=[queue], **settings)

    return made


async def started(people: People, engine: Engine, workflow: str, given: object = None) -> str:
    """Start an execution for an engine and give its id."""
    operator = await people.get("operator")
    accepted = await operator.start(workflow, given, queue=engine.queues[0])
    assert accepted.execution is not None
    return accepted.execution.id


async def failed_once(people: People, execution_id: str) -> None:
    """Wait until an attempt has failed."""
    operator = await people.get("operator")

    async def failed() -> bool | None:
        history = await operator.history(execution_id)
        assert history is not None
        return any(step.error for step in history.steps) or None

    await until(failed)


def reading(engine: Engine) -> Engine:
    """Let an engine read each history, as if none came with a claim."""
    engine.client.leases.gives_transcripts = False
    return engine


def skipping(engine: Engine) -> list[float]:
    """Let an engine skip its pauses, and return their lengths in seconds."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    engine.pool.engine.sleep = sleep  # type: ignore[method-assign]
    return pauses
