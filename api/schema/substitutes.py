"""Substitutes: who decides in whose absence. People see their own, AUDITOR and ADMIN see all."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import strawberry
from strawberry.types import Info

from api.context import Context, context_of
from api.errors import forbidden
from api.schema.arguments import After, First, described
from api.schema.enums import RefusalCode
from api.schema.inputs.substitutes import SubstituteInput
from api.schema.limits import page_size
from api.schema.paging import PageInfo, number_of
from api.schema.people import Actor
from api.schema.positions import position_text
from application.command_handling import outcomes
from application.command_handling.requests import Request
from application.substitute_pages import SubstituteKey
from domain import authorization
from domain.directory import decide
from domain.directory.commands import EndSubstitute, SetSubstitute
from domain.directory.state import Person, Substitution
from domain.names import normal, same_name
from domain.values import Role

_READERS = frozenset({Role.AUDITOR, Role.ADMIN})

OfPerson = Annotated[
    strawberry.ID | None,
    described("The id of the absent person; null: the caller. Somebody else needs the role ADMIN."),
]


@strawberry.type(
    description="Who decides in a person's absence. The number counts the substitutions of that "
    "person from 1."
)
class Substitute:
    person: Actor = strawberry.field(description="The absent person.")
    number: int
    substitute: Actor = strawberry.field(description="Who decides in their place.")
    groups: list[str] | None = strawberry.field(
        description="The groups of the absent person for which it is; null: all, and also where a "
        "policy names the absent person."
    )
    starts_at: datetime
    ends_at: datetime
    in_force: bool = strawberry.field(
        description="Whether the substitute decides now: it has begun, is not over and was not "
        "ended."
    )
    comment: str | None
    set_by: Actor = strawberry.field(description="Who set it: the absent person, or an ADMIN.")

    @classmethod
    def of(cls, person: Person, one: Substitution, name: str | None) -> "Substitute":
        """Make the GraphQL type of a substitution. ``name`` is that of the substitute."""
        now = datetime.now(UTC)
        return cls(
            person=Actor(id=strawberry.ID(person.person), name=person.name),
            number=one.number,
            substitute=Actor(id=strawberry.ID(one.substitute), name=name),
            groups=None if one.groups is None else list(one.groups),
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            in_force=one.starts_at <= now and not one.over(now),
            comment=one.comment or None,
            set_by=Actor.of(one.set_by),
        )


@strawberry.type(description="A substitute in a page, with its cursor.")
class SubstituteEdge:
    cursor: str
    node: Substitute


@strawberry.type(description="A page of substitutes.")
class SubstituteConnection:
    edges: list[SubstituteEdge]
    page_info: PageInfo
    counted: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The number of all matches.")
    async def total_count(self) -> int:
        return await self.counted()


@strawberry.type(
    description="The result of a command about a substitute. With a code it was refused, and "
    "nothing was recorded."
)
class SubstituteResult:
    substitute: Substitute | None = None
    code: RefusalCode | None = None
    message: str | None = None
    warnings: list[str] = strawberry.field(
        default_factory=list,
        description="Why the substitute may be unable to decide, such as not being known.",
    )
    repeated: bool = strawberry.field(
        default=False,
        description="Whether an earlier call had already done this; then nothing new was recorded.",
    )
    position: str | None = strawberry.field(
        default=None, description="The position of the event that the command recorded."
    )


@strawberry.type
class SubstituteMutations:
    @strawberry.mutation(
        description="Has somebody else decide in the absence of the caller, or with the role ADMIN "
        "of anybody. It takes effect within a second."
    )
    async def set_substitute(
        self,
        info: Info,
        input: Annotated[SubstituteInput, described("Who decides for whom, and when.")],  # noqa: A002
    ) -> SubstituteResult | None:
        context = context_of(info)
        return await set_substitute(context, input.command(context.principal))

    @strawberry.mutation(
        description="Ends a substitution before its time, within a second. What the substitute "
        "decided stays."
    )
    async def end_substitute(
        self,
        info: Info,
        number: Annotated[int, described("The number of the substitution.")],
        person: OfPerson = None,
        reason: Annotated[str | None, described("Why, for those who look.")] = None,
    ) -> SubstituteResult | None:
        context = context_of(info)
        by = context.principal
        of = by.id if person is None else person
        command = EndSubstitute(by=by, person=of, number=number, reason=reason or "")
        return await end_substitute(context, command)


@strawberry.type
class SubstituteQueries:
    @strawberry.field(
        description="A page of substitutions that are not over, in the order of the absent person "
        "and the number: those of the viewer, who is absent or the substitute; with the role "
        "AUDITOR or ADMIN those of everybody."
    )
    async def substitutes(
        self,
        info: Info,
        person: Annotated[
            strawberry.ID | None,
            described("The id of a person who is absent or the substitute; null: any."),
        ] = None,
        first: First = 50,
        after: After = None,
    ) -> SubstituteConnection:
        return await substitutes_page(context_of(info), person, first, after)


async def set_substitute(context: Context, command: SetSubstitute) -> SubstituteResult:
    """Send the command, unless it closes a circle. Raises the exception of a fault."""
    may = decide.may_substitute(command.by, command.person)
    if may and command.problem is None and await context.services.absences.closes_circle(command):
        message = (
            f"{command.substitute} has {command.person} as substitute at that time, or somebody "
            "who has, so nobody would be there to decide; name somebody else or other times"
        )
        return SubstituteResult(code=RefusalCode.INVALID_INPUT, message=message)

    def found(person: Person) -> Substitution | None:
        version = decide.first_version(person, command)
        return next((each for each in person.substitutes if each.version == version), None)

    result = await _carry_out(context, command, found)
    if result.code is None:
        result.warnings = await _warnings(context, command.person, command.substitute)
    return result


async def end_substitute(context: Context, command: EndSubstitute) -> SubstituteResult:
    """Send the command. Raises the exception of a fault."""
    return await _carry_out(context, command, lambda person: person.substitution(command.number))


async def substitutes_page(
    context: Context, person: str | None, first: int | None, after: str | None
) -> SubstituteConnection:
    """Return a page of substitutions. Raises FORBIDDEN for those of somebody else."""
    viewer, absences = context.principal, context.services.absences
    if _READERS.isdisjoint(viewer.roles):
        if person is not None and not same_name(person, viewer.id):
            raise forbidden("the substitutes of others are seen by the roles AUDITOR and ADMIN")
        person = viewer.id
    size = page_size(first, 50)
    keys = await absences.page(involving=person, after=_start(after), limit=size + 1)
    page, more = keys[:size], len(keys) > size
    shown = await shown_substitutes(context, page)
    edges = [SubstituteEdge(cursor=_cursor(key), node=node) for key, node in shown]

    async def counted() -> int:
        return await absences.count(involving=person)

    return SubstituteConnection(
        edges=edges,
        page_info=PageInfo.of(
            [edge.cursor for edge in edges], has_next=more, has_previous=after is not None
        ),
        counted=counted,
    )


async def shown_substitutes(
    context: Context, keys: Sequence[SubstituteKey]
) -> list[tuple[SubstituteKey, Substitute]]:
    """Return what is shown of substitutions, from the log."""
    found = await context.services.reader.aggregates({key.stream_id for key in keys})
    people = {each.id: each for each in found if isinstance(each, Person)}
    rows = []
    for key in keys:
        person = people.get(key.stream_id)
        one = None if person is None else person.substitution(key.number)
        if person is not None and one is not None:
            rows.append((key, person, one))
    known = await context.services.directory.people_of(one.substitute for _, _, one in rows)
    names = {id_: person.name for id_, person in known.items()}
    return [
        (key, Substitute.of(person, one, names.get(one.substitute))) for key, person, one in rows
    ]


async def _carry_out(
    context: Context,
    command: SetSubstitute | EndSubstitute,
    found: Callable[[Person], Substitution | None],
) -> SubstituteResult:
    request = Request(command=command, command_id=uuid4(), trace=context.traces.request)
    [outcome] = await context.services.writer.handle([request])
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, outcomes.Refused):
        return SubstituteResult(code=RefusalCode(outcome.code), message=outcome.message)
    context.services.substitutes.forget()
    person = outcome.state
    one = found(person) if isinstance(person, Person) else None
    shown = None
    if isinstance(person, Person) and one is not None:
        known = await context.services.directory.person(one.substitute)
        shown = Substitute.of(person, one, None if known is None else known.name)
    return SubstituteResult(
        substitute=shown,
        repeated=outcome.repeated,
        position=position_text(outcome.position, outcome.hash),
    )


async def _warnings(context: Context, person: str, substitute: str) -> list[str]:
    found = await context.services.directory.people_of([person, substitute])
    absent, known = found.get(normal(person)), found.get(normal(substitute))
    warnings = []
    if absent is not None and not authorization.may_decide(absent.principal):
        warnings.append(f"{person} has no role that allows deciding, so nobody decides for them")
    if known is None:
        unknown = f"{substitute} is not known yet: check the id, or have them sign in once"
        warnings.append(unknown)
    elif not known.active:
        warnings.append(f"{substitute} was deactivated, so they decide nothing")
    elif known.roles and not authorization.may_decide(known.principal):
        warnings.append(f"{substitute} has no role that allows deciding")
    return warnings


def _cursor(key: SubstituteKey) -> str:
    return f"{key.number}:{key.person}"


def _start(after: str | None) -> tuple[str, int] | None:
    if after is None:
        return None
    number, _, person = after.partition(":")
    return person, number_of(number, "after") or 0
