"""Who may send what, and who may see what.

| role | may |
|---|---|
| OPERATOR | start, signal, cancel, retry, unpark; read all executions, approvals and events |
| ENGINE | send workers' commands on its queues; read the executions, approvals and events there |
| APPROVER | decide approvals; read those that it is eligible for or has decided |
| AUDITOR | read everything |
| ADMIN | all that OPERATOR and AUDITOR may |
"""

from domain.approvals.state import Approval
from domain.execution.commands import (
    CancelExecution,
    ClaimExecution,
    Command,
    Decide,
    EndChild,
    FireTimer,
    RetryExecution,
    SendSignal,
    StartChild,
    StartExecution,
    UnparkExecution,
    WorkerCommand,
)
from domain.execution.state import Execution
from domain.values import Principal, Role

READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.ADMIN})
OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})

SERVICE = Principal(id="placet", name="Placet", roles=frozenset({Role.AUDITOR}))
"""The server itself, which fires timers and reports the end of children to their parents. No token
stands for it: it is recognized as this very object."""


def sees_all(principal: Principal) -> bool:
    """Whether the principal reads every execution, approval and event."""
    return not READERS.isdisjoint(principal.roles)


def sees_queue(principal: Principal, queue: str) -> bool:
    """Whether the principal reads the executions of this queue, with approvals and events."""
    return sees_all(principal) or (Role.ENGINE in principal.roles and principal.serves(queue))


def sees_events(principal: Principal) -> bool:
    """Whether the principal reads events at all: every one, or those of its queues."""
    return sees_all(principal) or Role.ENGINE in principal.roles


def sees_execution(principal: Principal, execution: Execution) -> bool:
    """Whether the principal may know that the execution exists."""
    return sees_queue(principal, execution.queue)


def sees_approval(principal: Principal, execution: Execution, approval: Approval) -> bool:
    """Whether the principal may know that the approval exists."""
    if sees_execution(principal, execution):
        return True
    if Role.APPROVER not in principal.roles:
        return False
    return eligible(principal, approval) or approval.decision_of(principal.id) is not None


def eligible(principal: Principal, approval: Approval) -> bool:
    """Whether a requirement of the policy names the principal or one of its groups."""
    return any(r.admits(principal.id, principal.groups) for r in approval.policy.requirements)


def may_decide(principal: Principal) -> bool:
    """Whether the roles allow deciding approvals. An engine never may, whatever else it has."""
    return Role.APPROVER in principal.roles and Role.ENGINE not in principal.roles


def forbidden(command: Command) -> str | None:
    """Return why the principal may not send the command, or None if it may."""
    by = command.by
    match command:
        case FireTimer() | EndChild():
            return None if by is SERVICE else "only the server itself may send this command"
        case StartChild(queue=queue) if Role.ENGINE in by.roles and not by.serves(queue):
            return f"this token does not serve the queue {queue!r}"
        case SendSignal():
            if not (OPERATORS | {Role.ENGINE}).isdisjoint(by.roles):
                return None
            return "sending a signal needs the role OPERATOR, ENGINE or ADMIN"
        case StartExecution(queue=queue):
            if not OPERATORS.isdisjoint(by.roles):
                return None
            if Role.ENGINE not in by.roles:
                return "starting an execution needs the role OPERATOR, ENGINE or ADMIN"
            return None if by.serves(queue) else f"this token does not serve the queue {queue!r}"
        case CancelExecution() | RetryExecution() | UnparkExecution():
            if not OPERATORS.isdisjoint(by.roles):
                return None
            return "cancelling, retrying or unparking an execution needs the role OPERATOR or ADMIN"
        case Decide():
            if may_decide(by):
                return None
            if Role.ENGINE in by.roles:
                return "a token with the role ENGINE never decides approvals"
            return "deciding an approval needs the role APPROVER"
        case WorkerCommand() | ClaimExecution():
            return None if Role.ENGINE in by.roles else "a worker's command needs the role ENGINE"
        case _:
            return f"no role may send {type(command).__name__}"
