"""Inputs of commands about approvals, and of the policies that these have."""

from datetime import datetime

import strawberry

from api.schema.enums import ExpiryAction
from api.schema.ids import approval_id_of, execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.approvals import policy as approval_policy
from domain.approvals.state import Verdict
from domain.execution import commands


@strawberry.input(
    description="A number of people out of these groups and users. At least one must be given."
)
class RequirementInput:
    count: int | None = 1
    groups: list[str] | None = None
    users: list[str] | None = None

    def value_of(self) -> approval_policy.Requirement:
        """Make the domain's value."""
        return approval_policy.Requirement(
            count=1 if self.count is None else self.count,
            groups=tuple(self.groups or ()),
            users=tuple(self.users or ()),
        )


@strawberry.input(description="Who must agree.")
class ApprovalPolicyInput:
    requirements: list[RequirementInput]
    rejections: int | None = 1
    allow_initiator: bool | None = False
    on_expiry: ExpiryAction | None = ExpiryAction.REJECT
    escalate_to: list[str] | None = None

    def value_of(self) -> approval_policy.Policy:
        """Make the domain's value."""
        return approval_policy.Policy(
            requirements=tuple(r.value_of() for r in self.requirements),
            rejections=1 if self.rejections is None else self.rejections,
            allow_initiator=bool(self.allow_initiator),
            on_expiry=self.on_expiry or ExpiryAction.REJECT,
            escalate_to=tuple(self.escalate_to or ()),
        )


@strawberry.input(
    description="The approval to request. Forms and deadlines are not supported yet and are "
    "refused."
)
class RequestApprovalInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    title: str
    description: str | None = None
    payload: JSON
    form: JSON | None = None
    policy: ApprovalPolicyInput
    deadline: datetime | None = None

    def command(self, by: values.Principal) -> commands.RequestApproval:
        """Make the command."""
        return commands.RequestApproval(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            title=self.title,
            description=self.description,
            payload=self.payload,
            form=self.form,
            policy=self.policy.value_of(),
            deadline=self.deadline,
        )


@strawberry.input(
    description="A grant. Answers and amendments are not supported yet and are refused."
)
class DecisionInput:
    approval_id: strawberry.ID
    digest: str
    comment: str | None = None
    answers: JSON | None = None
    amended_payload: JSON | None = None

    def command(self, by: values.Principal) -> commands.Decide:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.Decide(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=Verdict.GRANTED,
            digest=self.digest,
            comment=self.comment,
            answers=self.answers,
            amended_payload=self.amended_payload,
        )


@strawberry.input(description="A rejection, with its reason.")
class RejectionInput:
    approval_id: strawberry.ID
    digest: str
    comment: str

    def command(self, by: values.Principal) -> commands.Decide:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.Decide(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=Verdict.REJECTED,
            digest=self.digest,
            comment=self.comment,
        )


@strawberry.input(description="Withdraws a request for approval.")
class WithdrawalInput:
    approval_id: strawberry.ID
    fence: int | None = None
    reason: str

    def command(self, by: values.Principal) -> commands.WithdrawApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.WithdrawApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            reason=self.reason,
        )


@strawberry.input(
    description="Redeems a granted approval, just before its payload is carried out. This works "
    "once."
)
class RedemptionInput:
    approval_id: strawberry.ID
    fence: int | None = None
    payload_digest: str
    redemption_key: str

    def command(self, by: values.Principal) -> commands.RedeemApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.RedeemApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            fence=self.fence,
            payload_digest=self.payload_digest,
            redemption_key=self.redemption_key,
        )
