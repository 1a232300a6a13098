"""Replays recorded histories against the code as it is now."""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextvars import Context
from typing import Any

import msgspec

from placet._util.json_text import parsed
from placet._util.serde import Read
from placet._util.workflow_names import WorkflowFunction
from placet.engine.engine_access import EngineAccess
from placet.engine.history import ExecutionHistory, arranged
from placet.engine.host import EventContent, Host
from placet.engine.pending import Pending, PendingStep
from placet.engine.registry import WorkflowRegistry
from placet.engine.run_backend import NOT_NEXT
from placet.engine.workflow_calls import WorkflowCalls
from placet.engine.workflow_instance import WorkflowInstance
from placet.errors import Nondeterministic
from placet.models.commands import Command, CompleteExecution
from placet.models.enums import ExecutionState
from placet.models.responses import Execution
from placet.models.worker_responses import Noted, Past, Transcript

_COMPLETED = ExecutionState.COMPLETED


def replay(transcript: Transcript | bytes | str, workflow: WorkflowFunction) -> None:
    """Replay a recorded execution against a workflow; nothing is done and nobody is asked.

    ``transcript``: what ``client.transcript`` or ``placet transcript ID`` gives. Raises
    Nondeterministic at the first difference, also if the workflow does not end as recorded or does
    a step without the clearance that it redeemed, and if content that it needs was destroyed.
    """
    if not isinstance(transcript, Transcript):
        transcript = msgspec.convert(parsed(transcript, "the transcript"), Transcript)
    execution = transcript.execution
    try:
        _replay(transcript, workflow)
    except Nondeterministic as error:
        version = f" {execution.workflow_version}" if execution.workflow_version else ""
        msg = f"execution {execution.id} of workflow {execution.workflow!r}{version}: {error}"
        raise Nondeterministic(msg) from error


def _replay(transcript: Transcript, workflow: WorkflowFunction) -> None:
    execution = transcript.execution
    workflows = WorkflowRegistry()
    workflows.add(workflow, execution.workflow, None)
    history = arranged(transcript)
    steps: dict[str, PendingStep | None] = {}
    instance = WorkflowInstance(
        _ReplayHost(execution),
        workflows,
        history,
        lambda _: None,
        lambda host, history: _StepCollector(host, history, steps),
    )
    try:
        instance.replay(history)
        _check_clearances(steps, transcript)
        if execution.state in {_COMPLETED, ExecutionState.FAILED}:
            _check_end(instance, execution)
    except Nondeterministic as error:
        # If the record goes on and the workflow does not, this is why.
        error.__cause__ = error.__cause__ or instance.raised
        raise
    finally:
        instance.drop()


class _StepCollector(WorkflowCalls):
    """Keeps the steps of a workflow in ``steps``, by key.

    None is a step without a clearance whose result the workflow was given at once.
    """

    def __init__(
        self, host: Host, history: ExecutionHistory, steps: dict[str, PendingStep | None]
    ) -> None:
        super().__init__(host, history)
        self.steps = steps

    def next_result(self, key: str, name: str, digest: str | None, read: Read) -> Any:
        """Keep a step whose result is next."""
        found = super().next_result(key, name, digest, read)
        if found is not NOT_NEXT:
            self.steps[key] = None
        return found

    def request(self, pending: Pending) -> "asyncio.Future[Any]":
        """Keep a step, and begin to wait for it."""
        if isinstance(pending, PendingStep):
            self.steps[pending.key] = pending
        return super().request(pending)


def _check_clearances(steps: Mapping[str, PendingStep | None], transcript: Transcript) -> None:
    """Compare the approval that each step redeemed, which its result does not show."""
    used = {e.data["redemptionKey"]: e for e in _of(transcript, "ApprovalRedeemed")}
    done = {e.data["key"]: e for e in _of(transcript, "StepCompleted")}
    for key, step in steps.items():
        now = None if step is None or step.clearance is None else step.clearance.approval
        if key in used:
            was = transcript.approvals[used[key].data["ordinal"] - 1]
            if now is None or now.id != was.id:
                instead = "no clearance" if now is None else f"that of approval {now.key!r}"
                msg = (
                    f"step {key!r} redeemed approval {was.key!r} (version {used[key].version}), the"
                    f" workflow now gives it {instead}"
                )
                raise Nondeterministic(msg)
        elif key in done and now is not None:
            msg = (
                f"step {key!r} was done without a clearance (version {done[key].version}), the"
                f" workflow now gives it that of approval {now.key!r}"
            )
            raise Nondeterministic(msg)


def _of(transcript: Transcript, kind: str) -> Iterator[Past]:
    return (each for each in transcript.events if each.type == kind)


def _check_end(instance: WorkflowInstance, execution: Execution) -> None:
    end = instance.end()
    if end is None:
        waits_for = instance.describe_pending()
        msg = f"the record ends with {execution.state}, the workflow asks for {waits_for}"
        raise Nondeterministic(msg)
    completed = isinstance(end, CompleteExecution)
    outcome = end.result if isinstance(end, CompleteExecution) else end.error
    recorded = execution.result if execution.state is _COMPLETED else execution.error
    # The errors of a group were once not recorded with it.
    if isinstance(instance.raised, BaseExceptionGroup) and str(outcome).startswith(f"{recorded}: "):
        outcome = recorded
    if (completed, outcome) != (execution.state is _COMPLETED, recorded):
        msg = f"the workflow ends with {outcome!r}, and not with {recorded!r} as recorded"
        raise Nondeterministic(msg)


class _ReplayHost:
    """A host that does nothing for its workflow."""

    tasks: frozenset["asyncio.Task[None]"] = frozenset()

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.fence = execution.fence

    def spawn(
        self, work: Coroutine[Any, Any, None], context: Context | None = None
    ) -> "asyncio.Task[None]":
        """Refuse: a replay does nothing."""
        del context
        work.close()
        msg = "a replay does nothing outside of the workflow"
        raise RuntimeError(msg)

    def fault(self, error: BaseException) -> None:
        """Raise it."""
        raise error

    async def send(self, command: Command, content: EventContent | None = None) -> Noted:
        """Refuse: a replay does nothing."""
        raise NotImplementedError

    @property
    def engine(self) -> EngineAccess:
        """Refuse: ids, addresses and the time are in the history, and nothing is begun."""
        raise NotImplementedError

    def draining(self) -> bool:
        """Return True: nothing is begun."""
        return True

    def lost(self) -> bool:
        """Return True: nothing is recorded."""
        return True

    def idle(self) -> None:
        """Do nothing."""

    def park(self, reason: str) -> None:
        """Raise the reason."""
        raise Nondeterministic(reason)

    def finish(self, command: Command) -> None:
        """Record nothing."""
