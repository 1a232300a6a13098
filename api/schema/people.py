"""People and machines: who did something, and who is asking."""

import strawberry

from api.schema.enums import Role
from domain import values


@strawberry.type(description="The person or owner who did it, as authenticated at that moment.")
class Actor:
    id: strawberry.ID
    name: str | None

    @classmethod
    def of(cls, actor: values.Actor) -> "Actor":
        """Show an actor."""
        return cls(id=strawberry.ID(actor.id), name=actor.name)


@strawberry.type(description="Who is asking.")
class Principal:
    id: strawberry.ID
    name: str
    roles: list[Role]
    groups: list[str]
    queues: list[str] | None = strawberry.field(
        description="The queues that the token serves; null is every queue."
    )

    @classmethod
    def of(cls, principal: values.Principal) -> "Principal":
        """Show a principal, everything sorted."""
        return cls(
            id=strawberry.ID(principal.id),
            name=principal.name,
            roles=sorted(principal.roles),
            groups=sorted(principal.groups),
            queues=None if principal.queues is None else sorted(principal.queues),
        )
