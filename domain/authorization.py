"""Who may send what, and who may see what.

| role | may |
|---|---|
| OPERATOR | start, signal, cancel, retry, unpark; read all executions, approvals and events |
| ENGINE | what workers do, on its queues; read those executions, approvals and events |
| APPROVER | decide, and read the approvals it is eligible for or has decided |
| AUDITOR | read everything |
| ADMIN | what OPERATOR and AUDITOR may |
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
"""The service itself, which lets timers fire and tells parents of their children. No token is its
own: it is known by being this very object."""


def sees_all(principal: Principal) -> bool:
    """Whether the principal reads every execution, approval and event."""
    return not READERS.isdisjoint(principal.roles)


def sees_queue(principal: Principal, queue: str) -> bool:
    """Whether the principal reads the executions of this queue, with approvals and events."""
    return sees_all(principal) or (Role.ENGINE in principal.roles and principal.serves(queue))


def sees_execution(principal: Principal, execution: Execution) -> bool:
    """Whether the execution exists as far as this principal is concerned."""
    return sees_queue(principal, execution.queue)


def sees_approval(principal: Principal, execution: Execution, approval: Approval) -> bool:
    """Whether the approval exists as far as this principal is concerned."""
    if sees_execution(principal, execution):
        return True
    if Role.APPROVER not in principal.roles:
        return False
    return eligible(principal, approval) or approval.decision_of(principal.id) is not None


def eligible(principal: Principal, approval: Approval) -> bool:
    """Whether any requirement names the principal or one of its groups."""
    return any(r.admits(principal.id, principal.groups) for r in approval.policy.requirements)


def may_decide(principal: Principal) -> bool:
    """Whether the roles allow deciding at all: an engine never decides."""
    return Role.APPROVER in principal.roles and Role.ENGINE not in principal.roles


def forbidden(command: Command) -> str | None:
    """Say why the principal's roles do not allow the command, or None if they do."""
    by = command.by
    match command:
        case FireTimer() | EndChild():
            return None if by is SERVICE else "only the service itself sends this"
        case StartChild(queue=queue) if Role.ENGINE in by.roles and not by.serves(queue):
            return f"this token does not serve the queue {queue!r}"
        case SendSignal():
            if not (OPERATORS | {Role.ENGINE}).isdisjoint(by.roles):
                return None
            return "sending a signal takes the role OPERATOR, ENGINE or ADMIN"
        case StartExecution(queue=queue):
            if not OPERATORS.isdisjoint(by.roles):
                return None
            if Role.ENGINE not in by.roles:
                return "starting an execution takes the role OPERATOR, ENGINE or ADMIN"
            return None if by.serves(queue) else f"this token does not serve the queue {queue!r}"
        case CancelExecution() | RetryExecution() | UnparkExecution():
            if not OPERATORS.isdisjoint(by.roles):
                return None
            return "cancelling, retrying and unparking take the role OPERATOR or ADMIN"
        case Decide():
            if may_decide(by):
                return None
            if Role.ENGINE in by.roles:
                return "a principal with the role ENGINE never decides"
            return "deciding takes the role APPROVER"
        case WorkerCommand() | ClaimExecution():
            return None if Role.ENGINE in by.roles else "a worker's command takes the role ENGINE"
        case _:
            return f"no role may send {type(command).__name__}"
