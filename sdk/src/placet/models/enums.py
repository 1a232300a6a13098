"""The enumerations of the contract, as strings.

Generated from the server by `python -m tests.sdk.models.generate`. Do not edit.
"""

from enum import StrEnum


class ExecutionState(StrEnum):
    """Where an execution stands. The last three are final; FAILED alone can be retried."""

    RUNNING = "RUNNING"
    WAITING_APPROVAL = "WAITING_APPROVAL"
    RESUMED = "RESUMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether the execution is over. Only a FAILED one can go on, by a retry."""
        return self in FINAL_STATES


class ApprovalStatus(StrEnum):
    """Where an approval stands. All but PENDING are resolved; only GRANTED can become REVOKED."""

    PENDING = "PENDING"
    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    REVOKED = "REVOKED"


class ResolutionCause(StrEnum):
    """What resolved an approval."""

    DECISIONS = "DECISIONS"
    EXPIRY = "EXPIRY"
    WITHDRAWAL = "WITHDRAWAL"
    REVOCATION = "REVOCATION"


class Verdict(StrEnum):
    """One person's decision."""

    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"


class StandingGrantStatus(StrEnum):
    """Whether a standing grant allows anything now, and if not, why."""

    ACTIVE = "ACTIVE"
    USED_UP = "USED_UP"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class ExpiryAction(StrEnum):
    """What happens to an approval that is pending at its deadline."""

    REJECT = "REJECT"
    GRANT = "GRANT"
    ESCALATE = "ESCALATE"


class ParentEnd(StrEnum):
    """What becomes of a child that has not ended when its parent ends."""

    CANCEL = "CANCEL"
    ABANDON = "ABANDON"
    WAIT = "WAIT"


class Role(StrEnum):
    """What a principal may do."""

    OPERATOR = "OPERATOR"
    ENGINE = "ENGINE"
    APPROVER = "APPROVER"
    AUDITOR = "AUDITOR"
    ADMIN = "ADMIN"


class ExecutionOrder(StrEnum):
    """Executions of the same instant are in the order of their ids."""

    STARTED_DESC = "STARTED_DESC"
    STARTED_ASC = "STARTED_ASC"
    UPDATED_DESC = "UPDATED_DESC"


class ApprovalOrder(StrEnum):
    """Approvals without a deadline come after all that have one, in the order requested."""

    REQUESTED_ASC = "REQUESTED_ASC"
    REQUESTED_DESC = "REQUESTED_DESC"
    DEADLINE_ASC = "DEADLINE_ASC"


class RefusalCode(StrEnum):
    """Stable codes of refusals. Clients branch on them; the message beside them is for people."""

    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    INVALID_TRANSITION = "INVALID_TRANSITION"
    NOT_ELIGIBLE = "NOT_ELIGIBLE"
    ALREADY_DECIDED = "ALREADY_DECIDED"
    ALREADY_REDEEMED = "ALREADY_REDEEMED"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    INVALID_INPUT = "INVALID_INPUT"
    KEY_REUSED = "KEY_REUSED"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    LAPSED = "LAPSED"
    FENCED = "FENCED"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    SKIPPED = "SKIPPED"
    OVERLOADED = "OVERLOADED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    INTERNAL = "INTERNAL"


class ErrorCode(StrEnum):
    """Codes of GraphQL errors, in ``extensions.code``. Clients branch on them."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_REQUEST = "BAD_REQUEST"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    POSITION_UNKNOWN = "POSITION_UNKNOWN"
    READ_MODEL_BEHIND = "READ_MODEL_BEHIND"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


FINAL_STATES = frozenset(
    {ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED}
)
