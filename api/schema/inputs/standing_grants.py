"""Input of the command that creates a standing grant."""

from datetime import datetime
from uuid import uuid4

import strawberry

from api.schema.scalars import JSON
from domain import values
from domain.identifiers import standing_grant_id
from domain.standing_grants.commands import MAX_LIFETIME, MAX_USES, CreateStandingGrant


@strawberry.input(
    description="What the caller allows in advance. Each use counts as a decision of the caller, "
    "with the roles and groups that the caller has now. It is used for approvals that are "
    "requested afterwards, and never where the policy asks for a comment or answers."
)
class StandingGrantInput:
    workflow: str = strawberry.field(description="The name of the workflow that asks.")
    key: str | None = strawberry.field(
        default=None, description="The key of the approvals; null: any."
    )
    payload_schema: JSON = strawberry.field(
        description="A JSON Schema (2020-12) that the payload must meet. Schemas have limits of "
        "size, depth and patterns, and refer to nothing outside of themselves."
    )
    max_uses: int = strawberry.field(
        description=f"How often it can be used, from 1 to {MAX_USES:,}."
    )
    expires_at: datetime = strawberry.field(
        description=f"Until when it can be used, at most {MAX_LIFETIME.days} days from now."
    )
    comment: str = strawberry.field(description="Why. It must not be empty.")
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="The caller's key. A repeat with the same key and content changes nothing; "
        "other content is refused with KEY_REUSED.",
    )

    def command(self, by: values.Principal) -> CreateStandingGrant:
        """Make the command. Without a key, each call creates another grant."""
        key = self.idempotency_key
        return CreateStandingGrant(
            by=by,
            execution_id=standing_grant_id(by.id, uuid4().hex if key is None else key),
            workflow=self.workflow,
            key=self.key,
            payload_schema=self.payload_schema,
            max_uses=self.max_uses,
            expires_at=self.expires_at,
            comment=self.comment,
            idempotency_key=key,
        )
