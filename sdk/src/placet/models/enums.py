"""The enumerations of the contract, as strings."""

from enum import StrEnum


class ExecutionState(StrEnum):
    """Where an execution stands."""

    RUNNING = "RUNNING"
    WAITING_APPROVAL = "WAITING_APPROVAL"
    RESUMED = "RESUMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether nothing but a retry of a failed execution can follow."""
        return self in {self.COMPLETED, self.FAILED, self.CANCELLED}


class ApprovalStatus(StrEnum):
    """Where an approval stands."""

    PENDING = "PENDING"
    GRANTED = "GRANTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class ResolutionCause(StrEnum):
    """What resolved an approval."""

    DECISIONS = "DECISIONS"
    EXPIRY = "EXPIRY"
    WITHDRAWAL = "WITHDRAWAL"


class Verdict(StrEnum):
    """What one person decided."""

    GRANTED = "GRANTED"
    REJECTED = "REJECTED"


class ExpiryAction(StrEnum):
    """What happens to an approval at its deadline."""

    REJECT = "REJECT"
    GRANT = "GRANT"
    ESCALATE = "ESCALATE"


class Role(StrEnum):
    """What a principal may do."""

    OPERATOR = "OPERATOR"
    ENGINE = "ENGINE"
    APPROVER = "APPROVER"
    AUDITOR = "AUDITOR"
    ADMIN = "ADMIN"


class ExecutionOrder(StrEnum):
    """The order of a page of executions."""

    STARTED_DESC = "STARTED_DESC"
    STARTED_ASC = "STARTED_ASC"
    UPDATED_DESC = "UPDATED_DESC"


class ApprovalOrder(StrEnum):
    """The order of a page of approvals."""

    REQUESTED_ASC = "REQUESTED_ASC"
    REQUESTED_DESC = "REQUESTED_DESC"
    DEADLINE_ASC = "DEADLINE_ASC"
