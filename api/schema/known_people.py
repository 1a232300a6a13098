"""The people of the directory, and who of them could decide an approval."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import strawberry

from api.context import Context
from api.errors import forbidden
from api.schema.enums import PersonSource, Role
from api.schema.limits import page_size
from api.schema.paging import PageInfo
from application.directory import KnownPerson
from domain import authorization
from domain.approvals.state import Approval
from domain.execution.state import Execution
from projections.querying.keyset_pages import Cursor, decode_cursor, encode_cursor

_ORDER = "id"


@strawberry.interface(description="An object with an id.")
class Node:
    id: strawberry.ID


@strawberry.type(
    description="A person, or the owner of API keys, as the service knows them: from sign-ins, "
    "from an administrator, or by SCIM."
)
class Person(Node):
    name: str | None
    email: str | None = strawberry.field(description="The main address of several.")
    emails: list[str] = strawberry.field(description="All addresses, the main one first.")
    groups: list[str]
    roles: list[Role]
    active: bool = strawberry.field(
        description="false: the person was deactivated, and no token or key of theirs is valid."
    )
    source: PersonSource
    last_seen_at: datetime | None = strawberry.field(
        description="When the person last used a token, to within a minute or two."
    )

    @classmethod
    def of(cls, person: KnownPerson) -> "Person":
        """Make the GraphQL type of a person, with sorted lists."""
        return cls(
            id=strawberry.ID(person.id),
            name=person.name,
            email=person.emails[0] if person.emails else None,
            emails=list(person.emails),
            groups=sorted(person.groups),
            roles=sorted(person.roles),
            active=person.active,
            source=person.source,
            last_seen_at=person.last_seen_at,
        )


@strawberry.type(description="A person in a page, with their cursor.")
class PersonEdge:
    cursor: str
    node: Person


@strawberry.type(description="A page of people.")
class PersonConnection:
    edges: list[PersonEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int | None]]]

    @strawberry.field(description="The number of all matches; null if there are more than 10,000.")
    async def total_count(self) -> int | None:
        return await self.counted()


class PersonCursor(Cursor[str], frozen=True):
    """The id of the last person of a page."""

    id: str


async def people_page(
    context: Context, group: str | None, text: str | None, first: int | None, after: str | None
) -> PersonConnection:
    """Return a page of the directory. Raises FORBIDDEN."""
    _check_sight(context)
    size, directory = page_size(first, 50), context.services.directory
    found = await directory.page(group=group, text=text, after=_start(after), limit=size + 1)

    async def counted() -> int | None:
        return await directory.count(group=group, text=text)

    return _page(found, size, after, counted)


async def eligible_people(
    context: Context, asked: tuple[Execution, Approval] | None, first: int | None, after: str | None
) -> PersonConnection:
    """Return a page of those whose decision would count now; an empty one if None can decide."""
    size, start = page_size(first, 50), _start(after)
    eligible = context.services.eligible_people
    found = [] if asked is None else await eligible.now(*asked, datetime.now(UTC))

    async def counted() -> int:
        return len(found)

    beyond = [person for person in found if start is None or person.id > start]
    return _page(beyond, size, after, counted)


async def visible_person(context: Context, text: str) -> Person | None:
    """Return the person with this id, None if there is none that the viewer may see."""
    if not authorization.sees_people(context.principal):
        return None
    found = await context.services.directory.person(text)
    return None if found is None else Person.of(found)


def _check_sight(context: Context) -> None:
    if not authorization.sees_people(context.principal):
        raise forbidden("seeing people needs the role APPROVER, OPERATOR, AUDITOR or ADMIN")


def _start(after: str | None) -> str | None:
    return None if after is None else decode_cursor(after, PersonCursor, _ORDER).id


def _page(
    found: Sequence[KnownPerson],
    size: int,
    after: str | None,
    counted: Callable[[], Awaitable[int | None]],
) -> PersonConnection:
    edges = [
        PersonEdge(
            cursor=encode_cursor(PersonCursor(order=_ORDER, id=person.id)), node=Person.of(person)
        )
        for person in found[:size]
    ]
    cursors = [edge.cursor for edge in edges]
    return PersonConnection(
        edges=edges,
        page_info=PageInfo.of(cursors, has_next=len(found) > size, has_previous=after is not None),
        counted=counted,
    )
