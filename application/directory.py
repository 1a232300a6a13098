"""The directory: who the service knows, with their groups, roles and substitutes.

Reads ask the tables that are written in the commits of the events. So they are as current as the
log. Writes are commands, which the writer records as events.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed
from psycopg_pool import AsyncConnectionPool

from application.command_handling.outcomes import Outcome
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.directory_rows import folded_email
from domain.directory.commands import (
    DeactivatePerson,
    DirectoryCommand,
    ReactivatePerson,
    RecordPerson,
)
from domain.directory.state import PersonSource
from domain.names import folded, normal, normal_set
from domain.values import Principal, Role

DEACTIVATED_SECONDS = 1.0
"""For how long :meth:`Directory.deactivated` is remembered at most."""

_BY_ID = SQL("SELECT * FROM people WHERE id = ANY (%s)")
_BY_EMAIL = SQL("""
    SELECT * FROM people WHERE active AND folded_emails @> ARRAY[%s]::text[] ORDER BY id COLLATE "C"
""")
_MEMBERS = SQL("""
    SELECT * FROM people
    WHERE active AND (groups && %s::text[] OR id = ANY (%s::text[])) ORDER BY id COLLATE "C"
    LIMIT %s
""")
_DEACTIVATED = SQL("SELECT id FROM people WHERE NOT active")
# A person without a name is found by their id.
_MATCH = SQL("""
    (%(group)s::text IS NULL OR groups @> ARRAY[%(group)s::text])
    AND (%(active)s::boolean IS NULL OR active = %(active)s)
    AND (%(text)s::text IS NULL OR id ILIKE %(text)s OR name ILIKE %(text)s
        OR array_to_string(emails, ' ') ILIKE %(text)s)
""")
_PAGE = SQL("""
    SELECT * FROM people
    WHERE {} AND (%(after)s::text IS NULL OR id COLLATE "C" > %(after)s)
    ORDER BY id COLLATE "C" LIMIT %(limit)s
""").format(_MATCH)
_COUNT = SQL("""
    SELECT count(*) FROM (SELECT FROM people WHERE {} LIMIT %(limit)s) AS found
""").format(_MATCH)
_GROUPS = SQL("""
    SELECT held.name, count(*) FROM people, unnest(groups) AS held (name) WHERE active
    GROUP BY held.name ORDER BY count(*) DESC, held.name COLLATE "C" LIMIT %s
""")
_SUBSTITUTES_FOR = SQL("""
    SELECT s.person, p.name, p.groups AS all_groups, s.groups, s.starts_at, s.ends_at, s.set_by
    FROM substitutes AS s JOIN people AS p ON p.stream_id = s.stream_id
    WHERE s.substitute = %s AND s.starts_at <= %s AND s.ends_at > %s AND p.active
        AND 'APPROVER' = ANY (p.roles) AND NOT 'ENGINE' = ANY (p.roles)
    ORDER BY s.person COLLATE "C", s.number
""")
_SUBSTITUTES_OF = SQL("""
    SELECT number, person, substitute, groups, starts_at, ends_at, set_by FROM substitutes
    WHERE person = %s AND ends_at > %s ORDER BY number
""")
_SUBSTITUTIONS = SQL("""
    SELECT number, person, substitute, groups, starts_at, ends_at, set_by FROM substitutes
    WHERE person = ANY (%s) AND starts_at <= %s AND ends_at > %s
    ORDER BY starts_at, person COLLATE "C", number
""")
_KNOWS_DECIDERS = SQL("""
    SELECT EXISTS (SELECT FROM people WHERE active AND 'APPROVER' = ANY (roles)) AS known
""")


class KnownPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A person, or the owner of API keys, as the service last knew them.

    ``emails`` has the main address first. ``last_seen_at`` is in UTC, and right to within a minute;
    None if they never used a token.
    """

    id: str
    name: str | None = None
    emails: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    active: bool = True
    source: PersonSource
    external_id: str | None = None
    provisioned_id: UUID | None = None
    details: Any = None
    last_seen_at: datetime | None = None

    @property
    def principal(self) -> Principal:
        """The person as they would act now."""
        return Principal(
            id=self.id, name=self.name or self.id, roles=self.roles, groups=self.groups
        )


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """An absent person in whose place somebody decides now, with these of their groups.

    ``set_by`` is who said so: the person, or an ADMIN.
    """

    id: str
    name: str | None
    groups: frozenset[str]
    starts_at: datetime
    ends_at: datetime
    set_by: str


class SetSubstitution(msgspec.Struct, frozen=True, kw_only=True):
    """A substitution of a person that is not over. ``groups`` of None means all of theirs."""

    number: int
    person: str
    substitute: str
    groups: frozenset[str] | None
    starts_at: datetime
    ends_at: datetime
    set_by: str


class Directory:
    """The people of one database.

    Reads raise psycopg errors or PoolTimeout if it is unavailable. Ids and groups are compared in
    their normal form, see :mod:`domain.names`.
    """

    def __init__(self, pool: AsyncConnectionPool, writer: Writer | None = None) -> None:
        self._pool = pool
        self._writer = writer
        self._deactivated: frozenset[str] = frozenset()
        self._deactivated_until = 0.0
        self._asking: asyncio.Task[frozenset[str]] | None = None

    async def person(self, id: str) -> KnownPerson | None:  # noqa: A002
        """Return the person with this id, None if there is none."""
        return (await self.people_of([id])).get(normal(id))

    async def people_of(self, ids: Iterable[str]) -> dict[str, KnownPerson]:
        """Return the people with these ids, by their ids. Unknown ones are left out."""
        wanted = storable(normal_set(ids))
        if not wanted:
            return {}
        return {each.id: each for each in map(known_person, await self._rows(_BY_ID, (wanted,)))}

    async def by_email(self, email: str) -> list[KnownPerson]:
        """Return the active people with this address, in order of id.

        ASCII letters are the same in either case. Another Unicode form is another address.
        """
        [*address] = storable([folded_email(email)])
        return [*map(known_person, await self._rows(_BY_EMAIL, (address[0],)))] if address else []

    async def members(
        self, groups: Iterable[str], ids: Iterable[str] = (), *, limit: int | None = None
    ) -> list[KnownPerson]:
        """Return the active people in any of the groups, or with one of the ids, in order of id.

        With a ``limit`` the first of them.
        """
        wanted = storable(normal_set(groups)), storable(normal_set(ids))
        if not any(wanted):
            return []
        return [*map(known_person, await self._rows(_MEMBERS, (*wanted, limit)))]

    async def page(
        self,
        *,
        group: str | None = None,
        text: str | None = None,
        active: bool | None = None,
        after: str | None = None,
        limit: int,
    ) -> list[KnownPerson]:
        """Return up to ``limit`` people after an id, in order of id.

        ``text`` is a part of an id, a name or an address. ``active`` of None: all.
        """
        if after is not None and not storable([after]):
            # Nobody has such an id, so it is a made-up place in the list.
            return []
        params = {**_matching(group, text, active), "after": after, "limit": limit}
        return [*map(known_person, await self._rows(_PAGE, params))]

    async def count(
        self,
        *,
        group: str | None = None,
        text: str | None = None,
        active: bool | None = None,
        limit: int = 10_000,
    ) -> int | None:
        """Count the people of :meth:`page`. None if there are more than ``limit``."""
        params = {**_matching(group, text, active), "limit": limit + 1}
        [row] = await self._rows(_COUNT, params)
        return None if row["count"] > limit else row["count"]

    async def groups(self, *, limit: int) -> list[tuple[str, int]]:
        """Return the groups with their number of active people, those with the most first."""
        rows = await self._rows(_GROUPS, (limit,))
        return [(row["name"], row["count"]) for row in rows]

    async def deactivated(self) -> frozenset[str]:
        """Return the folded ids of all deactivated people, as they were at most one second ago.

        Compare :func:`domain.names.folded`: another spelling may be the same person.
        """
        now = asyncio.get_running_loop().time()
        if now < self._deactivated_until:
            return self._deactivated
        # If many ask at once, only one of them queries the database.
        if self._asking is None:
            self._asking = asyncio.create_task(self._read_deactivated(now))
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def substitutes_for(self, id: str, now: datetime) -> list[Absent]:  # noqa: A002
        """Return in whose place a person may decide at a moment, in order of id."""
        [*wanted] = storable([normal(id)])
        if not wanted:
            return []
        rows = await self._rows(_SUBSTITUTES_FOR, (wanted[0], now, now))
        return [
            Absent(
                id=row["person"],
                name=row["name"],
                groups=_groups_of_absent(row),
                starts_at=row["starts_at"].astimezone(UTC),
                ends_at=row["ends_at"].astimezone(UTC),
                set_by=row["set_by"],
            )
            for row in rows
        ]

    async def substitutes_of(self, id: str, now: datetime) -> list[SetSubstitution]:  # noqa: A002
        """Return who decides in a person's place from a moment on, in the order they were set."""
        [*wanted] = storable([normal(id)])
        rows = await self._rows(_SUBSTITUTES_OF, (wanted[0], now)) if wanted else []
        return [*map(_substitution, rows)]

    async def substitutions(self, ids: Iterable[str], now: datetime) -> list[SetSubstitution]:
        """Return the substitutions of these people that are in force at a moment."""
        wanted = storable(ids)
        rows = await self._rows(_SUBSTITUTIONS, (wanted, now, now)) if wanted else []
        return [*map(_substitution, rows)]

    async def knows_deciders(self) -> bool:
        """Whether there is an active person with the role APPROVER."""
        [row] = await self._rows(_KNOWS_DECIDERS, ())
        return bool(row["known"])

    async def record(self, by: Principal, person: KnownPerson) -> Outcome:
        """Record how a person is known now. It replaces what was known, but not if they are active.

        Their ``source`` says who keeps them up to date. What signs in does not replace what an
        administrator or SCIM has recorded.
        """
        return await self.send(record_command(by, person))

    async def record_all(self, by: Principal, people: Sequence[KnownPerson]) -> list[Outcome]:
        """Do the same for several people, each for itself."""
        return await self.send_all([record_command(by, person) for person in people])

    async def deactivate(self, by: Principal, id: str, reason: str = "") -> Outcome:  # noqa: A002
        """End all API keys, tokens and sessions of a person."""
        return await self.send(DeactivatePerson(by=by, person=id, reason=reason))

    async def reactivate(self, by: Principal, id: str, reason: str = "") -> Outcome:  # noqa: A002
        """Undo :meth:`deactivate`."""
        return await self.send(ReactivatePerson(by=by, person=id, reason=reason))

    async def send(self, command: DirectoryCommand) -> Outcome:
        """Send one command to the writer."""
        [outcome] = await self.send_all([command])
        return outcome

    async def send_all(self, commands: Sequence[DirectoryCommand]) -> list[Outcome]:
        """Send commands to the writer, in one commit if there are no more than 256 of them."""
        assert self._writer is not None, "this directory only reads"
        requests = [Request(command=command, command_id=uuid4()) for command in commands]
        return await self._writer.handle(requests)

    async def _read_deactivated(self, now: float) -> frozenset[str]:
        rows = await self._rows(_DEACTIVATED, ())
        self._deactivated = frozenset(folded(row["id"]) for row in rows)
        self._deactivated_until = now + DEACTIVATED_SECONDS
        return self._deactivated

    def _asked(self, _: asyncio.Task[frozenset[str]]) -> None:
        self._asking = None

    async def _rows(
        self, statement: SQL | Composed, params: tuple[Any, ...] | dict[str, Any]
    ) -> list[dict[str, Any]]:
        async with self._pool.connection() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(statement, params)
            return await cursor.fetchall()


def record_command(by: Principal, person: KnownPerson) -> RecordPerson:
    """Return the command that records a person."""
    return RecordPerson(
        by=by,
        person=person.id,
        name=person.name,
        emails=person.emails,
        groups=person.groups,
        roles=person.roles,
        source=person.source,
        external_id=person.external_id,
        provisioned_id=person.provisioned_id,
        details=person.details,
    )


def storable(texts: Iterable[str]) -> list[str]:
    """Return the texts that PostgreSQL can store, so that a look-up with another finds nothing."""
    return [text for text in texts if "\x00" not in text and not _has_surrogate(text)]


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _matching(group: str | None, text: str | None, active: bool | None) -> dict[str, Any]:  # noqa: FBT001
    """Return the parameters of a search. What can't be stored finds nothing."""
    for each in (group, text):
        if each is not None and not storable([each]):
            return {"group": "\ufffd", "text": None, "active": active}
    escaped = None
    if text is not None:
        for special in "\\%_":
            text = text.replace(special, f"\\{special}")
        escaped = f"%{text}%"
    return {"group": None if group is None else normal(group), "text": escaped, "active": active}


def _substitution(row: dict[str, Any]) -> SetSubstitution:
    return SetSubstitution(
        number=row["number"],
        person=row["person"],
        substitute=row["substitute"],
        groups=None if row["groups"] is None else frozenset(row["groups"]),
        starts_at=row["starts_at"].astimezone(UTC),
        ends_at=row["ends_at"].astimezone(UTC),
        set_by=row["set_by"],
    )


def _groups_of_absent(row: dict[str, Any]) -> frozenset[str]:
    """Return the groups for which somebody decides: those that the absent person still has."""
    all_groups = frozenset(row["all_groups"])
    return all_groups if row["groups"] is None else all_groups & frozenset(row["groups"])


def known_person(row: dict[str, Any]) -> KnownPerson:
    """Return the person of a row of the table."""
    seen = row["last_seen_at"]
    return KnownPerson(
        id=row["id"],
        name=row["name"],
        emails=tuple(row["emails"]),
        groups=frozenset(row["groups"]),
        roles=frozenset(map(Role, row["roles"])),
        active=row["active"],
        source=PersonSource(row["source"]),
        external_id=row["external_id"],
        provisioned_id=row["provisioned_id"],
        details=row["details"],
        last_seen_at=None if seen is None else seen.astimezone(UTC),
    )
