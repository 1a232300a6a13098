"""Who may send what, and who may see what.

| role | may |
|---|---|
| OPERATOR | start, signal, cancel, retry, park, unpark; read all executions, approvals and events |
| ENGINE | send workers' commands, and cancel children, on its queues; read all that is there |
| APPROVER | decide, claim, revoke, allow in advance; read what it is eligible for or has decided |
| AUDITOR | read everything |
| ADMIN | all that OPERATOR and AUDITOR may; manage API keys, people and webhooks |
"""

from collections.abc import Iterable

from domain.approvals.commands import (
    ActOnDeadline,
    ClaimApproval,
    CommentApproval,
    Decide,
    DecideInAdvance,
    DelegateApproval,
    PersonsApprovalCommand,
    RetractDecision,
    RevokeApproval,
    TakeBackDelegation,
    UnclaimApproval,
)
from domain.approvals.state import Approval
from domain.execution.commands import (
    CancelExecution,
    ClaimExecution,
    Command,
    EndCancellation,
    EndChild,
    FireTimer,
    ParkExecution,
    RetryExecution,
    SendSignal,
    StartChild,
    StartExecution,
    UnparkExecution,
    WorkerCommand,
)
from domain.execution.state import Execution
from domain.values import Absence, Principal, Role

READERS = frozenset({Role.OPERATOR, Role.AUDITOR, Role.ADMIN})
STANDING_GRANT_READERS = frozenset({Role.AUDITOR, Role.ADMIN})
OPERATORS = frozenset({Role.OPERATOR, Role.ADMIN})

SERVICE = Principal(id="placet", name="Placet", roles=frozenset({Role.AUDITOR}))
"""The server itself, which fires timers and reports the end of children to their parents. No token
stands for it: it is recognized as this very object."""

COMMAND_LINE = Principal(
    id="placet:command-line", name="placet-server", roles=frozenset({Role.ADMIN})
)
"""Who runs the commands of ``placet-server`` on a machine that reaches the database."""

SCIM = Principal(id="placet:scim", name="SCIM", roles=frozenset({Role.ADMIN}))
"""The organization's identity provider, which keeps the directory up to date by SCIM."""


_DOING: dict[type[Command], str] = {
    Decide: "deciding an approval",
    RetractDecision: "taking back a decision",
    DelegateApproval: "delegating an approval",
    TakeBackDelegation: "taking back a delegation",
    ClaimApproval: "claiming an approval",
    UnclaimApproval: "giving up the claim of an approval",
}


def held(groups: Iterable[str]) -> str:
    """Return in words which groups somebody held, for the end of a reason."""
    names = ", ".join(sorted(groups))
    return f"groups held: {names}" if names else "no groups held"


def sees_all(principal: Principal) -> bool:
    """Whether the principal reads every execution, approval and event."""
    return not READERS.isdisjoint(principal.roles)


def sees_queue(principal: Principal, queue: str) -> bool:
    """Whether the principal reads the executions of this queue, with approvals and events."""
    return sees_all(principal) or (Role.ENGINE in principal.roles and principal.serves(queue))


def sees_events(principal: Principal) -> bool:
    """Whether the principal reads events at all: every one, or those of its queues."""
    return sees_all(principal) or Role.ENGINE in principal.roles


def sees_people(principal: Principal) -> bool:
    """Whether the principal sees who is in the directory: everybody with a role for people."""
    return not (READERS | {Role.APPROVER}).isdisjoint(principal.roles)


def sees_standing_grants(principal: Principal) -> bool:
    """Whether the principal sees the standing grants of everybody. Each person sees their own.

    It then also sees the events of standing grants and of the directory.
    """
    return not STANDING_GRANT_READERS.isdisjoint(principal.roles)


def sees_execution(principal: Principal, execution: Execution) -> bool:
    """Whether the principal may know that the execution exists."""
    return sees_queue(principal, execution.queue)


def sees_approval(principal: Principal, execution: Execution, approval: Approval) -> bool:
    """Whether the principal may know that the approval exists."""
    if sees_execution(principal, execution):
        return True
    if Role.APPROVER not in principal.roles:
        return False
    return (
        eligible(principal, approval)
        or bool(approval.decisions_of(principal.id))
        or any(approval.chains_to(principal.id))
        or any(covers(absence, approval) for absence in principal.stands_in_for)
    )


def eligible(principal: Principal, approval: Approval) -> bool:
    """Whether a requirement names the principal or one of its groups, or an escalation does."""
    return any(
        r.admits(principal.id, principal.groups) for r in approval.policy.requirements
    ) or bool(approval.escalation_groups(principal.groups))


def covers(absence: Absence, approval: Approval) -> bool:
    """Whether the policy asks for the absent person in a way that the substitution covers."""
    if absence.only_groups:
        named = any(r.named_groups(absence.groups) for r in approval.policy.requirements)
    else:
        named = any(r.admits(absence.id, absence.groups) for r in approval.policy.requirements)
    return named or bool(approval.escalation_groups(absence.groups))


def administers(principal: Principal) -> bool:
    """Whether the principal manages API keys, the people of the directory, and webhooks."""
    return Role.ADMIN in principal.roles


def may_decide(principal: Principal) -> bool:
    """Whether the roles allow deciding approvals. An engine never may, whatever else it has."""
    return Role.APPROVER in principal.roles and Role.ENGINE not in principal.roles


def may_revoke(principal: Principal) -> bool:
    """Whether the roles allow revoking grants: those of deciders and of operators."""
    operates = Role.ENGINE not in principal.roles and not OPERATORS.isdisjoint(principal.roles)
    return operates or may_decide(principal)


def may_cancel(principal: Principal, execution: Execution) -> bool:
    """Whether the principal may cancel the execution. An engine may if a workflow started it."""
    if not OPERATORS.isdisjoint(principal.roles):
        return True
    return execution.parent is not None and principal.serves(execution.queue)


def acts_as_operator(command: Command) -> bool:
    """Whether the command is sent by a person who operates executions, and not by their worker.

    Only ParkExecution can be either: without a fence an OPERATOR or ADMIN sends it, for any queue.
    """
    return (
        isinstance(command, ParkExecution)
        and command.fence is None
        and not OPERATORS.isdisjoint(command.by.roles)
    )


def forbidden(command: Command) -> str | None:
    """Return why the principal may not send the command, or None if it may."""
    by = command.by
    match command:
        case FireTimer() | EndChild() | ActOnDeadline() | EndCancellation() | DecideInAdvance():
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
        case CancelExecution() if Role.ENGINE in by.roles:
            # Only a child, which :func:`may_cancel` says.
            return None
        case CancelExecution() | RetryExecution() | UnparkExecution():
            if not OPERATORS.isdisjoint(by.roles):
                return None
            return "cancelling, retrying or unparking an execution needs the role OPERATOR or ADMIN"
        case RevokeApproval():
            if may_revoke(by):
                return None
            if Role.ENGINE in by.roles:
                return f"a token with the role ENGINE never revokes approvals; {held(by.groups)}"
            return (
                "revoking an approval needs the role APPROVER, OPERATOR or ADMIN; "
                f"{held(by.groups)}"
            )
        case CommentApproval():
            return None if by.roles else "commenting on an approval needs a role"
        case PersonsApprovalCommand():
            if may_decide(by):
                return None
            doing = _DOING[type(command)]
            if Role.ENGINE in by.roles:
                return f"{doing} is not for a token with the role ENGINE; {held(by.groups)}"
            return f"{doing} needs the role APPROVER; {held(by.groups)}"
        case ParkExecution():
            if acts_as_operator(command) or Role.ENGINE in by.roles:
                return None
            return (
                "parking an execution needs the role OPERATOR or ADMIN without a fence, or ENGINE"
            )
        case WorkerCommand() | ClaimExecution():
            return None if Role.ENGINE in by.roles else "a worker's command needs the role ENGINE"
        case _:
            return f"no role may send {type(command).__name__}"
