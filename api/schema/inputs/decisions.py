"""Inputs of people's commands about approvals."""

import strawberry

from api.schema.ids import approval_id_of
from api.schema.scalars import JSON
from domain import values
from domain.approvals import commands
from domain.approvals.state import Verdict


@strawberry.input(description="A grant.")
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
        description="The answers to the form, if the approval has one; else none can be given.",
    )
    amended_payload: JSON | None = strawberry.field(
        default=None,
        description="The payload as the person grants it, if the policy is amendable. Grants "
        "before it no longer count. `digest` stays that of the document that the person saw.",
    )
    key: str | None = strawberry.field(
        default=None,
        description="The caller's key for this call. A repeat with it is never taken for a new "
        "decision, also after the decision was taken back.",
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
            key=self.key,
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

    key: str | None = strawberry.field(
        default=None,
        description="The caller's key for this call. A repeat with it is never taken for a new "
        "decision, also after the decision was taken back.",
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
            key=self.key,
        )


@strawberry.input(description="A request for changes, with what should change.")
class ChangesInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    digest: str = strawberry.field(
        description="The digest of the document that the person saw. If the document has "
        "another one, this is refused with DIGEST_MISMATCH."
    )
    comment: str = strawberry.field(description="What should change. It must not be empty.")
    key: str | None = strawberry.field(
        default=None,
        description="The caller's key for this call. A repeat with it is never taken for a new "
        "decision, also after the decision was taken back.",
    )

    def command(self, by: values.Principal) -> commands.Decide:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.Decide(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=Verdict.CHANGES_REQUESTED,
            digest=self.digest,
            comment=self.comment,
            key=self.key,
        )


@strawberry.input(description="Takes back the caller's own decision.")
class RetractionInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    comment: str | None = strawberry.field(default=None, description="Why, for the record.")

    def command(self, by: values.Principal) -> commands.RetractDecision:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.RetractDecision(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            comment=self.comment,
        )


@strawberry.input(description="Hands the right to decide to another person.")
class DelegationInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    to: str = strawberry.field(description="The id of the person who decides instead.")
    comment: str | None = strawberry.field(default=None, description="Why, for the record.")

    def command(self, by: values.Principal) -> commands.DelegateApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.DelegateApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            to=self.to,
            comment=self.comment,
        )


@strawberry.input(description="Takes back the caller's own delegation.")
class TakeBackInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")

    def command(self, by: values.Principal) -> commands.TakeBackDelegation:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.TakeBackDelegation(
            by=by, execution_id=approval_id.execution_id, ordinal=approval_id.ordinal
        )


@strawberry.input(description="Takes back a grant that was not redeemed.")
class RevocationInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    reason: str = strawberry.field(description="Why. It must not be empty.")

    def command(self, by: values.Principal) -> commands.RevokeApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.RevokeApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            reason=self.reason,
        )


@strawberry.input(description="A comment on an approval.")
class CommentInput:
    approval_id: strawberry.ID = strawberry.field(description="The id of the approval.")
    text: str = strawberry.field(description="The comment, in at most 10,000 characters.")
    key: str | None = strawberry.field(
        default=None,
        description="The caller's key for this comment. A repeat with the same key and text adds "
        "nothing; another text is refused with KEY_REUSED.",
    )

    def command(self, by: values.Principal) -> commands.CommentApproval:
        """Make the command."""
        approval_id = approval_id_of(self.approval_id)
        return commands.CommentApproval(
            by=by,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            text=self.text,
            key=self.key,
        )
