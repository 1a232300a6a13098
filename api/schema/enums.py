"""GraphQL enums, made from the enumerations of the domain and of the read models."""

from enum import StrEnum
from typing import Any

import strawberry

from application.notifications.message import MessageKind, MessageStatus
from application.notifications.preferences import MessageTiming
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import ApprovalStatus, ResolutionCause, Verdict
from domain.directory.state import PersonSource
from domain.refusals import RefusalCode
from domain.standing_grants.state import StandingGrantStatus
from domain.values import ExecutionState, ParentEnd, Role
from projections.approvals.query import ApprovalOrder
from projections.executions.query import ExecutionOrder

_MEANINGS: tuple[tuple[StrEnum, str], ...] = (
    (ApprovalOrder.REQUESTED_ASC, "The oldest request first."),
    (ApprovalOrder.REQUESTED_DESC, "The newest request first."),
    (ApprovalOrder.DEADLINE_ASC, "The nearest deadline first."),
    (ApprovalStatus.PENDING, "People can decide."),
    (ApprovalStatus.GRANTED, "Enough people agreed."),
    (ApprovalStatus.REJECTED, "Enough people rejected it."),
    (ApprovalStatus.EXPIRED, "Nobody decided before the deadline."),
    (ApprovalStatus.WITHDRAWN, "The request was withdrawn, or its execution ended."),
    (ApprovalStatus.CHANGES_REQUESTED, "People want something else to be asked under the key."),
    (ApprovalStatus.REVOKED, "It was granted, and taken back before it was redeemed."),
    (ExecutionOrder.STARTED_DESC, "The newest start first."),
    (ExecutionOrder.STARTED_ASC, "The oldest start first."),
    (ExecutionOrder.UPDATED_DESC, "The latest event first."),
    (ExecutionState.RUNNING, "A worker can continue it."),
    (ExecutionState.WAITING_APPROVAL, "It waits for people's decisions."),
    (ExecutionState.RESUMED, "All its approvals are resolved, and a worker can continue it."),
    (ExecutionState.COMPLETED, "It ended with a result. This is final."),
    (ExecutionState.FAILED, "It ended with an error. It can be retried."),
    (ExecutionState.CANCELLED, "It was cancelled. This is final."),
    (ExpiryAction.REJECT, "The approval expires, which counts as no."),
    (ExpiryAction.GRANT, "The approval is granted."),
    (ExpiryAction.ESCALATE, "More groups may decide."),
    (MessageKind.OPENED, "An approval was requested, and the recipient may decide."),
    (MessageKind.STAGE_BEGAN, "The stage began in which the recipient may decide."),
    (MessageKind.REMINDER, "The deadline comes near, and the recipient may still decide."),
    (MessageKind.ESCALATED, "The deadline passed, and the recipient may decide."),
    (MessageKind.DELEGATED, "Somebody handed the decision to the recipient."),
    (MessageKind.TOO_FEW_PEOPLE, "Fewer people are known who may decide than are needed."),
    (MessageKind.CHANGES_REQUESTED, "Somebody asked for changes; the approval is open still."),
    (MessageKind.COMMENTED, "Somebody commented on an approval that the recipient takes part in."),
    (MessageKind.RESOLVED, "An approval was resolved, in whatever way."),
    (MessageKind.REVOKED, "A grant was taken back."),
    (MessageKind.DIGEST, "What a person would have been told one by one, once a day."),
    (MessageKind.EVENT, "An event of the log, for a program that asked for it."),
    (MessageStatus.WAITING, "It is to be sent, now or later."),
    (MessageStatus.SENT, "The receiver took it."),
    (MessageStatus.SKIPPED, "It was not sent, because it no longer mattered."),
    (MessageStatus.DEAD, "It could not be delivered, and is sent again only if an ADMIN says so."),
    (MessageTiming.AT_ONCE, "As soon as something happens, except in quiet hours."),
    (MessageTiming.DIGEST, "Once a day, all together."),
    (MessageTiming.NEVER, "Not at all."),
    (PersonSource.API_KEY, "They own an API key, whose groups and roles they have."),
    (PersonSource.TOKEN, "They signed in; their token named their groups and roles."),
    (PersonSource.ADMIN, "An administrator entered them."),
    (PersonSource.SCIM, "The organization's identity provider keeps them up to date."),
    (RefusalCode.NOT_FOUND, "There is no such thing, or the caller may not see it."),
    (RefusalCode.FORBIDDEN, "The caller's roles or queues do not allow the command."),
    (RefusalCode.INVALID_TRANSITION, "The command is not possible in the current state."),
    (RefusalCode.NOT_ELIGIBLE, "The caller may not decide this approval. The message says why."),
    (RefusalCode.ALREADY_DECIDED, "The approval is resolved, or the caller has decided before."),
    (RefusalCode.ALREADY_REDEEMED, "The approval was redeemed under another key."),
    (RefusalCode.DIGEST_MISMATCH, "The digest is not that of what was shown or granted."),
    (RefusalCode.INVALID_INPUT, "A value breaks a rule, which the message names."),
    (RefusalCode.KEY_REUSED, "The key was used before, with other content."),
    (
        RefusalCode.STEP_UP_REQUIRED,
        (
            "The policy asks for a fresher or stronger login. An API key has none. Over HTTP, if "
            "the command came alone, WWW-Authenticate says which (RFC 9470)."
        ),
    ),
    (RefusalCode.LAPSED, "The approval was granted, but its time to be redeemed is over."),
    (RefusalCode.FENCED, "The fence is not that of the current claim: another worker has it."),
    (RefusalCode.VERSION_CONFLICT, "The execution is at another version than expected."),
    (RefusalCode.SKIPPED, "An earlier command of the same request was refused."),
    (RefusalCode.OVERLOADED, "Too many commands are waiting. Try again later."),
    (RefusalCode.OUTCOME_UNKNOWN, "The command may have been carried out or not. Repeat it."),
    (
        RefusalCode.INTERNAL,
        "The server failed on this command of several. Its log has the reference in the message.",
    ),
    (ParentEnd.CANCEL, "The child is cancelled."),
    (ParentEnd.ABANDON, "The child goes on."),
    (
        ParentEnd.WAIT,
        "The parent's worker ends it after the child. A cancelled parent cancels the child.",
    ),
    (ResolutionCause.DECISIONS, "People's decisions."),
    (ResolutionCause.EXPIRY, "The deadline."),
    (ResolutionCause.WITHDRAWAL, "The request was withdrawn, or its execution ended."),
    (ResolutionCause.REVOCATION, "The grant was taken back."),
    (Role.OPERATOR, "Starts, signals, cancels, retries and unparks executions, and reads them."),
    (
        Role.ENGINE,
        "Does what workers do on its queues, and reads what is on them. It never decides.",
    ),
    (Role.APPROVER, "Decides where a policy names the person or one of their groups."),
    (Role.AUDITOR, "Reads everything."),
    (Role.ADMIN, "Does all that OPERATOR and AUDITOR do."),
    (StandingGrantStatus.ACTIVE, "It is used for what it allows."),
    (StandingGrantStatus.USED_UP, "No use is left."),
    (StandingGrantStatus.EXPIRED, "Its time is over."),
    (StandingGrantStatus.REVOKED, "It was ended before its time."),
    (Verdict.GRANTED, "The person agreed."),
    (Verdict.REJECTED, "The person did not agree."),
    (Verdict.CHANGES_REQUESTED, "The person wants something else to be asked under the key."),
)
"""What each value means. The enumerations can't say it themselves: they know nothing of GraphQL."""

# Values of different enumerations can be equal as text.
_BY_NAME = {(type(v).__name__, v.name): text for v, text in _MEANINGS}


def _enum(enumeration: type[StrEnum]) -> None:
    """Make an enumeration a GraphQL enum, with the first paragraph of its docstring."""
    description = (enumeration.__doc__ or "").split("\n\n")[0]
    made: Any = strawberry.enum(enumeration, description=description)
    for value in made.__strawberry_definition__.values:
        value.description = _BY_NAME[enumeration.__name__, value.name]


for enumeration in (
    ApprovalOrder,
    ApprovalStatus,
    ExecutionOrder,
    ExecutionState,
    ExpiryAction,
    MessageKind,
    MessageStatus,
    MessageTiming,
    ParentEnd,
    PersonSource,
    RefusalCode,
    ResolutionCause,
    Role,
    StandingGrantStatus,
    Verdict,
):
    _enum(enumeration)

__all__ = [
    "ApprovalOrder",
    "ApprovalStatus",
    "ExecutionOrder",
    "ExecutionState",
    "ExpiryAction",
    "MessageKind",
    "MessageStatus",
    "MessageTiming",
    "ParentEnd",
    "PersonSource",
    "RefusalCode",
    "ResolutionCause",
    "Role",
    "StandingGrantStatus",
    "Verdict",
]
