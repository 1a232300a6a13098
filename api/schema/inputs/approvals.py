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
    count: int | None = strawberry.field(
        default=1, description="The number of different people who must agree. Null means 1."
    )
    groups: list[str] | None = strawberry.field(
        default=None, description="Groups whose members can agree. Names are compared exactly."
    )
    users: list[str] | None = strawberry.field(
        default=None, description="Ids of people who can agree. They are compared exactly."
    )

    def value_of(self) -> approval_policy.Requirement:
        """Make the domain's value."""
        return approval_policy.Requirement(
            count=1 if self.count is None else self.count,
            groups=tuple(self.groups or ()),
            users=tuple(self.users or ()),
        )


@strawberry.input(description="Who must agree.")
class ApprovalPolicyInput:
    requirements: list[RequirementInput] = strawberry.field(
        description="All of them must be met, by different people; from 1 to 20."
    )
    rejections: int | None = strawberry.field(
        default=1, description="The number of rejections that reject the approval. Null means 1."
    )
    allow_initiator: bool | None = strawberry.field(
        default=False,
        description="Whether the people who started the execution, for whom it was started, and "
        "who requested the approval may decide too. Null means false.",
    )
    on_expiry: ExpiryAction | None = strawberry.field(
        default=ExpiryAction.REJECT,
        description="What happens at the deadline. Anything but REJECT is refused, because "
        "deadlines are not supported yet.",
    )
    escalate_to: list[str] | None = strawberry.field(
        default=None,
        description="Groups that may decide after the deadline. It is refused, because "
        "deadlines are not supported yet.",
    )

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
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(
        description="The key of the approval, unique in the execution. A repeat with the same "
        "content requests nothing new."
    )
    title: str = strawberry.field(description="What is to be decided, in at most 500 characters.")
    description: str | None = strawberry.field(
        default=None, description="More about it, in at most 10,000 characters."
    )
    payload: JSON = strawberry.field(
        description="What will be done if the approval is granted, at most 256 KiB of JSON."
    )
    form: JSON | None = strawberry.field(
        default=None,
        description="A form for the approvers. It is refused, because forms are not supported yet.",
    )
    policy: ApprovalPolicyInput = strawberry.field(description="Who must agree.")
    deadline: datetime | None = strawberry.field(
        default=None,
        description="Until when people can decide. It is refused, because deadlines are not "
        "supported yet.",
    )

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
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    digest: str = strawberry.field(
        description="The digest of the document that the person saw. If the document has "
        "another one, this is refused with DIGEST_MISMATCH."
    )
    comment: str | None = strawberry.field(
        default=None, description="What the person says about the decision."
    )
    answers: JSON | None = strawberry.field(
        default=None,
        description="Answers to the form. They are refused, because forms are not supported yet.",
    )
    amended_payload: JSON | None = strawberry.field(
        default=None,
        description="A changed payload. It is refused, because amendments are not supported yet.",
    )

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
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    digest: str = strawberry.field(
        description="The digest of the document that the person saw. If the document has "
        "another one, this is refused with DIGEST_MISMATCH."
    )
    comment: str = strawberry.field(
        description="Why the approval is rejected. It must not be empty."
    )

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
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    reason: str = strawberry.field(description="Why the request is withdrawn.")

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
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    payload_digest: str = strawberry.field(
        description="The digest of the payload that is about to be carried out. It must be the "
        "one that was granted."
    )
    redemption_key: str = strawberry.field(
        description="A key of the caller's choice. A repeat with the same key is accepted, "
        "another key is refused with ALREADY_REDEEMED."
    )

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
