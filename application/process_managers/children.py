"""The process manager of children: starts and cancels them, and reports their end to the parent.

The parent records ChildStarted, and then this process manager sends StartExecution for the child.
When the child has ended, it sends EndChild to the parent.
"""

from application import metrics
from application.command_handling.batch import ENDS
from application.command_handling.outcomes import Refused
from application.event_store.chained_events import LoggedEvent
from application.process_managers.log_process_manager import LogProcessManager
from domain.authorization import SERVICE
from domain.execution.children import ends_with_parent
from domain.execution.commands import CancelExecution, Command, EndChild, StartExecution
from domain.execution.events import ChildStarted, Retried
from domain.execution.state import Child, Execution
from domain.values import Actor, ExecutionState, Parent, Principal, Role


class ChildProcessManager(LogProcessManager):
    """Follows the log and sends commands to parents and children."""

    name = "children"
    skipped = metrics.CHILDREN_SKIPPED

    async def commands(self, event: LoggedEvent) -> list[Command]:
        """Return the commands to the parent or children that an event causes."""
        recorded = event.recorded
        if not isinstance(recorded.event, (ChildStarted, Retried, *ENDS)):
            return []
        after = await self._reader.after(event)
        if isinstance(recorded.event, Retried):
            return await self._ends_since_failure(after)
        if isinstance(recorded.event, ChildStarted):
            return [_start_child(after, recorded.event)]
        commands: list[Command] = [] if after.parent is None else [_report_end(after.parent, after)]
        return [
            *commands,
            *(
                _cancellation(child, recorded.actor, after.state)
                for child in after.children.values()
                if child.outcome is None and ends_with_parent(child, after.state)
            ),
        ]

    async def after_refusal(self, command: Command, refused: Refused) -> list[Command]:
        """Tell the parent of a child that could not be started.

        Any other refusal means that the parent or child has ended already.
        """
        if isinstance(command, StartExecution) and command.parent is not None:
            error = f"the child could not be started: {refused.message}"
            return [_end_child(command.parent, ExecutionState.FAILED, error=error)]
        return []

    async def _ends_since_failure(self, parent: Execution) -> list[Command]:
        """Return the commands for children that ended while their parent was failed.

        A failed parent refuses EndChild, so it is sent again after the parent was retried.
        """
        awaited = [child.id for child in parent.children.values() if child.outcome is None]
        children = [await self._reader.execution(id_) for id_ in awaited]
        return [
            _report_end(child.parent, child)
            for child in children
            if child is not None and child.parent is not None and child.state.final
        ]


def _start_child(parent: Execution, event: ChildStarted) -> StartExecution:
    # The initiator of the parent is that of the child, so four eyes excludes the same people.
    return StartExecution(
        by=_as_operator(parent.initiator),
        execution_id=event.child_id,
        given_id=str(event.child_id),
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        queue=event.queue,
        input=event.content.input,
        on_behalf_of=parent.on_behalf_of,
        parent=Parent(execution_id=parent.id, key=event.key, round=event.round),
    )


def _report_end(parent: Parent, child: Execution) -> EndChild:
    return _end_child(parent, child.state, result=child.result, error=child.error)


def _end_child(
    parent: Parent, outcome: ExecutionState, *, result: object = None, error: str | None = None
) -> EndChild:
    return EndChild(
        by=SERVICE,
        execution_id=parent.execution_id,
        key=parent.key,
        round=parent.round,
        outcome=outcome,
        result=result,
        error=error,
    )


def _cancellation(child: Child, by: Actor, parent: ExecutionState) -> CancelExecution:
    return CancelExecution(
        by=_as_operator(by), execution_id=child.id, reason=f"its parent was {parent.lower()}"
    )


def _as_operator(actor: Actor) -> Principal:
    roles = frozenset({Role.OPERATOR})
    return Principal(id=actor.id, name=actor.name or actor.id, roles=roles)
