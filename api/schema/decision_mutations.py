"""Mutations of people about approvals."""

from dataclasses import dataclass
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.schema.arguments import ApprovalIdArgument, described
from api.schema.ids import approval_id_of
from api.schema.inputs import (
    ChangesInput,
    CommentInput,
    DecisionInput,
    DelegationInput,
    RejectionInput,
    RetractionInput,
    RevocationInput,
    TakeBackInput,
)
from api.schema.limits import MAX_DECISIONS
from api.schema.results import CommandResult
from api.schema.sending import send_many, send_one
from domain.approvals.commands import (
    ClaimApproval,
    PersonsApprovalCommand,
    UnclaimApproval,
)
from domain.values import Principal


@dataclass
class _OnApproval:
    """The input of a command that needs no more than the approval's id."""

    approval_id: strawberry.ID
    command_type: type[ClaimApproval] | type[UnclaimApproval]

    def command(self, by: Principal) -> PersonsApprovalCommand:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return self.command_type(
            by=by, execution_id=approval_id.execution_id, ordinal=approval_id.ordinal
        )


@strawberry.type
class DecisionMutations:
    @strawberry.mutation(description="Grants the document with this digest.")
    async def grant_approval(
        self,
        info: Info,
        input: Annotated[DecisionInput, described("The decision.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(description="Rejects the document with this digest.")
    async def reject_approval(
        self,
        info: Info,
        input: Annotated[RejectionInput, described("The decision, with its reason.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Grants up to 100 approvals. Returns one result for each, in the same order."
    )
    async def grant_approvals(
        self,
        info: Info,
        inputs: Annotated[list[DecisionInput], described("The decisions, at most 100.")],
    ) -> list[CommandResult] | None:
        return await send_many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(
        description="Rejects up to 100 approvals. Returns one result for each, in the same order."
    )
    async def reject_approvals(
        self,
        info: Info,
        inputs: Annotated[list[RejectionInput], described("The decisions, at most 100.")],
    ) -> list[CommandResult] | None:
        return await send_many(info, inputs, MAX_DECISIONS)

    @strawberry.mutation(
        description="Requests changes of the document with this digest. It counts towards the "
        "rejections of the policy. If one of those who met their number asked for changes, the "
        "approval ends CHANGES_REQUESTED, and other content can be requested under its key."
    )
    async def request_changes(
        self,
        info: Info,
        input: Annotated[ChangesInput, described("What should change.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Takes back the caller's own decision while the approval is pending. The "
        "caller can then decide anew."
    )
    async def retract_decision(
        self,
        info: Info,
        input: Annotated[RetractionInput, described("The approval, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Hands the right to decide to another person, who then decides in the caller's "
        "place. The caller can't decide until they take it back."
    )
    async def delegate_approval(
        self,
        info: Info,
        input: Annotated[DelegationInput, described("The approval, and to whom.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Takes back the caller's delegation, while nobody has decided with it."
    )
    async def take_back_delegation(
        self,
        info: Info,
        input: Annotated[TakeBackInput, described("The approval.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Takes back a grant that was not redeemed. Those who granted it, and the "
        "roles OPERATOR and ADMIN, can do so."
    )
    async def revoke_approval(
        self,
        info: Info,
        input: Annotated[RevocationInput, described("The approval, and why.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Adds a comment. Whoever sees the approval can comment on it, in every state."
    )
    async def comment_approval(
        self,
        info: Info,
        input: Annotated[CommentInput, described("The comment.")],  # noqa: A002
    ) -> CommandResult | None:
        return await send_one(info, input)

    @strawberry.mutation(
        description="Says that the caller looks into a pending approval. It binds nobody, the "
        "last claim counts, and it ends after an hour."
    )
    async def claim_approval(
        self, info: Info, approval_id: ApprovalIdArgument
    ) -> CommandResult | None:
        return await send_one(info, _OnApproval(approval_id, ClaimApproval))

    @strawberry.mutation(description="Ends the caller's claim of an approval.")
    async def unclaim_approval(
        self, info: Info, approval_id: ApprovalIdArgument
    ) -> CommandResult | None:
        return await send_one(info, _OnApproval(approval_id, UnclaimApproval))
