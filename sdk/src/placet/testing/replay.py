"""Recorded histories against today's code."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

import msgspec

from placet.commands import Command, CompleteExecution
from placet.engine.owner import Told
from placet.engine.play import Play
from placet.engine.record import arranged
from placet.engine.workflows import WorkflowFunction, Workflows
from placet.enums import ExecutionState
from placet.errors import Nondeterministic
from placet.model import Execution, Noted, Transcript

_COMPLETED = ExecutionState.COMPLETED


def replay(transcript: Transcript | bytes | str, workflow: WorkflowFunction) -> None:
    """Replay a recorded execution against a workflow; nothing is done and nobody is asked.

    ``transcript``: what ``client.transcript`` or ``placet transcript ID`` gives. Raises
    Nondeterministic at the first difference, also if the workflow does not end as recorded, and
    Internal if content that it needs was destroyed.
    """
    if not isinstance(transcript, Transcript):
        transcript = msgspec.json.decode(transcript, type=Transcript)
    execution = transcript.execution
    workflows = Workflows()
    workflows.add(workflow, execution.workflow, None)
    record = arranged(transcript)
    play = Play(_Onlooker(execution), workflows, record, lambda _: None)
    try:
        play.replay(record)
        if execution.state in {_COMPLETED, ExecutionState.FAILED}:
            _check_end(play, execution)
    finally:
        play.drop()


def _check_end(play: Play, execution: Execution) -> None:
    end = play.end()
    if end is None:
        msg = f"the record ends with {execution.state}, the workflow asks for {play.asked()}"
        raise Nondeterministic(msg)
    completed = isinstance(end, CompleteExecution)
    outcome = end.result if isinstance(end, CompleteExecution) else end.error
    recorded = execution.result if execution.state is _COMPLETED else execution.error
    if (completed, outcome) != (execution.state is _COMPLETED, recorded):
        msg = f"the workflow ends with {outcome!r}, and not with {recorded!r} as recorded"
        raise Nondeterministic(msg)


class _Onlooker:
    """Plays a workflow and does nothing for it."""

    threads: Executor | None = None
    tasks: frozenset["asyncio.Task[None]"] = frozenset()

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.fence = execution.fence

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Refuse: a replay does nothing."""
        work.close()
        msg = "a replay does nothing outside of the workflow"
        raise RuntimeError(msg)

    def fault(self, error: BaseException) -> None:
        """Raise it."""
        raise error

    async def send(
        self, command: Command, told: Told | None = None, cause: BaseException | None = None
    ) -> Noted:
        """Refuse: a replay does nothing."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Let no time pass."""

    def now(self) -> datetime:
        """Refuse: the time is in the record."""
        raise NotImplementedError

    def draining(self) -> bool:
        """Say yes: nothing is begun."""
        return True

    def idle(self) -> None:
        """Take no note."""

    def park(self, reason: str) -> None:
        """Raise the reason."""
        raise Nondeterministic(reason)

    def finish(self, command: Command) -> None:
        """Record nothing."""
