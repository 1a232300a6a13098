"""People and machines: the actor of an event, and the owner of a token."""

import strawberry

from api.schema.enums import Role
from domain import values


@strawberry.type(description="A person or the owner of a token, as authenticated at that moment.")
class Actor:
    id: strawberry.ID
    name: str | None

    @classmethod
    def of(cls, actor: values.Actor) -> "Actor":
        """Make the GraphQL type of an actor."""
        return cls(id=strawberry.ID(actor.id), name=actor.name)


@strawberry.type(description="The owner of a token.")
class Principal:
    id: strawberry.ID
    name: str
    roles: list[Role]
    groups: list[str]
    queues: list[str] | None = strawberry.field(
        description="The queues that the token serves; null means every queue."
    )

    @classmethod
    def of(cls, principal: values.Principal) -> "Principal":
        """Make the GraphQL type of a principal, with sorted lists."""
        return cls(
            id=strawberry.ID(principal.id),
            name=principal.name,
            roles=sorted(principal.roles),
            groups=sorted(principal.groups),
            queues=None if principal.queues is None else sorted(principal.queues),
        )
