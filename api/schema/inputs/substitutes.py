"""Input of the command that names a substitute."""

from datetime import datetime

import strawberry

from domain import values
from domain.directory.commands import MAX_ABSENCE, SetSubstitute


@strawberry.input(
    description="Who decides in a person's absence. It applies to approvals that are pending then, "
    "and to those that come."
)
class SubstituteInput:
    substitute: strawberry.ID = strawberry.field(
        description="The id of the person who decides instead."
    )
    person: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of the absent person; null: the caller. For somebody else it needs the "
        "role ADMIN, and the log says who set it.",
    )
    groups: list[str] | None = strawberry.field(
        default=None,
        description="Of which groups of the absent person the substitute decides for them, at most "
        "2,000; null: of all, and also where a policy names the absent person.",
    )
    starts_at: datetime | None = strawberry.field(
        default=None, description="From when on the substitute decides; null: from now on."
    )
    ends_at: datetime = strawberry.field(
        description="From when on the substitute decides no longer, at most "
        f"{MAX_ABSENCE.days} days after the beginning."
    )
    comment: str | None = strawberry.field(default=None, description="Why, for those who look.")

    def command(self, by: values.Principal) -> SetSubstitute:
        """Make the command."""
        return SetSubstitute(
            by=by,
            person=by.id if self.person is None else self.person,
            substitute=self.substitute,
            groups=None if self.groups is None else frozenset(self.groups),
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            comment=self.comment or "",
        )
