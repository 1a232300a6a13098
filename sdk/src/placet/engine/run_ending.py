"""How the run of an execution ends at its worker: finished, parked, given back or lost."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar

from placet._util.texts import cleaned
from placet.engine.fenced_sender import FencedSender
from placet.engine.run_phase import RunPhase
from placet.engine.run_tasks import RunTasks
from placet.engine.runner_backend import RunnerBackend
from placet.engine.workflow_instance import WorkflowInstance
from placet.errors import BadRequest, InvalidInput, LimitExceeded
from placet.models.commands import Command, FailExecution, ParkExecution
from placet.models.responses import Execution

log = logging.getLogger("placet.engine")

REMIND_SECONDS = 60.0


class EndingRunner(Protocol):
    """The runner of an execution, as its ending uses it.

    ``holds``: whether the service still counts the execution as held.
    """

    execution: Execution
    fence: int
    phase: RunPhase
    holds: bool
    instance: WorkflowInstance | None

    def spawn(self, work: Any, context: Context | None = None) -> "asyncio.Task[None]":
        """Do something outside of the workflow."""

    def closed(self) -> None:
        """Note that it does nothing more."""


R = TypeVar("R", bound=EndingRunner)


class RunEnding(Generic[R]):
    """Ends one run. Steps with a clearance are let end first, unless the execution was lost.

    ``draining``: nothing more may be begun.
    """

    def __init__(
        self, runner: R, backend: RunnerBackend[R], tasks: RunTasks, sender: FencedSender
    ) -> None:
        self.draining = False
        self._runner = runner
        self._backend = backend
        self._tasks = tasks
        self._sender = sender
        # Steps with a clearance that were under way when the run was stopped.
        self._cleared: frozenset[asyncio.Task[None]] = frozenset()
        self._leaving: asyncio.Task[None] | None = None

    def abandon(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """Stop at once, and record nothing more."""
        runner = self._runner
        if runner.phase is RunPhase.CLOSED:
            return
        runner.phase = RunPhase.CLOSED
        self._sender.abandoned = True
        for task in self._tasks.running:
            task.cancel()
        instance, runner.instance = runner.instance, None
        if instance is not None:
            instance.close()
            soon(instance.stop)
        runner.closed()
        self._backend.ended(runner)

    def after(self, task: "asyncio.Task[None]", error: BaseException) -> None:
        """Act on an error that ended a task of the run."""
        if self._leaving not in {None, task}:
            # It is about to be parked or given back, and a step with a clearance may be under way.
            what = "a step with a clearance" if task in self._cleared else "a task"
            log.error(
                "execution %s: the outcome of %s is not recorded",
                self._runner.execution.id,
                what,
                exc_info=error,
            )
        else:
            self.fault(error)

    def fault(self, error: BaseException) -> None:
        """Give the execution back after an error that is not the workflow's."""
        runner = self._runner
        if runner.phase is RunPhase.CLOSED:
            return
        log.error(
            "execution %s can't go on here and is given back", runner.execution.id, exc_info=error
        )
        if runner.phase is not RunPhase.ENDING:
            self._wind_up()
            if self._cleared:
                self._leaving = runner.spawn(self._give_back())
                return
        self._leave()
        self._backend.give_back(runner, parked=False)

    async def _give_back(self) -> None:
        await self._all_cleared()
        self._leave()
        self._backend.give_back(self._runner, parked=False)

    def unknown(self, error: Exception) -> None:
        """Give back an execution whose workflow this engine does not have."""
        # An engine that has it may be there already, or come.
        log.warning("execution %s is given back: %s", self._runner.execution.id, error)
        self._leave()
        self._backend.give_back(self._runner, parked=False, at_once=True)

    def park(self, reason: str) -> None:
        """Keep every worker from the execution until a person has looked at it."""
        runner = self._runner
        if runner.phase is RunPhase.CLOSED:
            return
        self._wind_up()
        when = ", once its steps with a clearance have ended" if self._cleared else ""
        log.error("execution %s is parked%s: %s", runner.execution.id, when, reason)
        self._leaving = runner.spawn(self._park(reason))

    async def _park(self, reason: str) -> None:
        await self._all_cleared()
        runner = self._runner
        command = ParkExecution(
            execution_id=runner.execution.id, fence=runner.fence, reason=cleaned(reason)
        )
        await self._sender.send(command)
        self._leave()
        self._backend.give_back(runner, parked=True)

    def parked(self) -> None:
        """Stop, because a person has parked the execution. Steps with a clearance may end."""
        runner = self._runner
        if runner.phase in {RunPhase.ENDING, RunPhase.CLOSED}:
            return
        runner.holds = False
        self._wind_up()
        when = ", and stops once its steps with a clearance have ended" if self._cleared else ""
        log.info("execution %s was parked%s", runner.execution.id, when)
        self._leaving = runner.spawn(self._leave_parked())

    async def _leave_parked(self) -> None:
        await self._all_cleared()
        self.over()

    def finish(self, command: Command) -> None:
        """Record how the workflow ended."""
        self._runner.phase = RunPhase.ENDING
        self._runner.spawn(self._finish(command))

    async def _finish(self, command: Command) -> None:
        # What the workflow no longer waits for is taken back first. The end must come after it.
        instance = self._runner.instance
        await self._tasks.others(also=frozenset() if instance is None else instance.cleared)
        try:
            await self._sender.send(command)
        except (LimitExceeded, BadRequest, InvalidInput) as error:
            execution_id, fence = self._runner.execution.id, self._runner.fence
            text = cleaned(f"the workflow's result can't be recorded: {error}")
            await self._sender.send(
                FailExecution(execution_id=execution_id, fence=fence, error=text)
            )
        self.over()

    def over(self) -> None:
        """Forget the run: the execution is over, or not this worker's any more."""
        self._leave()
        self._backend.ended(self._runner)

    def _wind_up(self) -> None:
        """Stop the workflow and its tasks, except for steps with a clearance.

        Such a step is begun only once, so it would end in doubt if it were cut short. Tasks that
        record an answer of ``run.patched`` go on too: a step may have been begun by that answer.
        """
        self._runner.phase = RunPhase.ENDING
        self.draining = True
        kept: frozenset[asyncio.Task[None]] = frozenset()
        instance = self._runner.instance
        if instance is not None:
            self._cleared = instance.cleared
            kept = self._cleared | instance.marking
            instance.drop()
        self._tasks.cancel(but=kept)

    async def _all_cleared(self) -> None:
        """Wait until the steps with a clearance have ended, each within its own timeout."""
        pending: Collection[asyncio.Task[None]] = self._cleared
        while pending:
            _, pending = await asyncio.wait(pending, timeout=REMIND_SECONDS)
            if pending:
                log.warning(
                    "execution %s can't go on here, and waits for a step with a clearance to end;"
                    " timeout= limits such a step, and a person can cancel the execution",
                    self._runner.execution.id,
                )

    def _leave(self) -> None:
        self._runner.phase = RunPhase.CLOSED
        self._sender.abandoned = True
        self._tasks.cancel()
        instance, self._runner.instance = self._runner.instance, None
        if instance is not None:
            instance.drop()
        self._runner.closed()
