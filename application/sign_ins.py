"""Notes who uses tokens, so that the directory knows them. Nothing of it is on a request's way.

Of a token of an identity provider, it records what the token says. The owners of API keys have the
groups and roles of their keys: one process at a time compares them with the directory. A person
whom an administrator or SCIM keeps up to date is only noted as seen.
"""

import asyncio
import math
from collections.abc import Callable

import msgspec
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from application.background_tasks import stop
from application.command_handling.outcomes import Outcome, Refused
from application.directory import Directory, KnownPerson
from application.key_owners import owners_to_record
from domain.authorization import SERVICE
from domain.directory.state import PersonSource
from domain.names import is_reserved
from domain.values import Principal

_log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
NOTE_SECONDS = 60.0
"""How often a person is noted at most."""
MAX_SEEN = 10_000

_UNAVAILABLE = (psycopg.Error, PoolTimeout)

# Rows that another transaction holds are skipped: the next minute notes them too.
_SEEN = """
    WITH due AS (
        SELECT stream_id FROM people WHERE id = ANY (%s)
            AND (last_seen_at IS NULL OR last_seen_at < clock_timestamp() - interval '30 seconds')
        FOR UPDATE SKIP LOCKED
    )
    UPDATE people SET last_seen_at = clock_timestamp() FROM due
    WHERE people.stream_id = due.stream_id
"""


class _Seen(msgspec.Struct):
    """A person who used a token. ``told``: the token says their groups and roles.

    ``noted``: when they were last noted, by the event loop's time. ``used``: whether they used a
    token since then.
    """

    principal: Principal
    told: bool
    noted: float = -math.inf
    used: bool = True


class SignIns:
    """Call :meth:`saw` whenever a token is used. ``leads``: whether this process leads."""

    def __init__(
        self,
        pool: AsyncConnectionPool,
        directory: Directory,
        leads: Callable[[], bool],
        *,
        tick: float = TICK_SECONDS,
        every: float = NOTE_SECONDS,
    ) -> None:
        self._pool = pool
        self._directory = directory
        self._leads = leads
        self._tick = tick
        self._every = every
        self._seen: dict[str, _Seen] = {}
        self._owners_compared = -math.inf
        self._tasks: list[asyncio.Task[None]] = []

    def saw(self, principal: Principal, *, told: bool) -> None:
        """Remember that somebody used a token. ``told``: it says their groups and roles."""
        known = self._seen.get(principal.id)
        if known is None:
            self._seen[principal.id] = _Seen(principal, told)
            return
        known.used = True
        if told:
            known.principal, known.told = principal, True

    async def start(self) -> None:
        """Start the background task."""
        self._tasks = [asyncio.create_task(self._note_for_ever(), name="placet-sign-ins")]

    async def close(self) -> None:
        """Stop it."""
        await stop(self._tasks)

    async def _note_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            try:
                await self._note()
                await self._compare_owners()
            except _UNAVAILABLE as error:
                # The next second tries again.
                _log.debug("sign_ins_not_noted", error=str(error))
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("sign_ins_not_noted")

    async def _note(self) -> None:
        now = asyncio.get_running_loop().time()
        due = [
            seen for seen in self._seen.values() if seen.used and now - seen.noted >= self._every
        ]
        if not due:
            return
        for seen in due:
            seen.used = False
        try:
            await self._record([seen.principal for seen in due if seen.told])
            async with self._pool.connection() as connection:
                await connection.execute(_SEEN, ([seen.principal.id for seen in due],))
        except BaseException:
            for seen in due:
                seen.used = True
            raise
        for seen in due:
            seen.noted = now
        if len(self._seen) > MAX_SEEN:
            self._seen = {id_: seen for id_, seen in self._seen.items() if seen.used}

    async def _record(self, principals: list[Principal]) -> None:
        """Record what tokens say of people, where it differs from what is known."""
        known = await self._directory.people_of(each.id for each in principals)
        changed = [
            person
            for principal in principals
            if not is_reserved(principal.id)
            and (person := _as_told(principal, known.get(principal.id))) is not None
        ]
        await self._send(changed)

    async def _compare_owners(self) -> None:
        """Record the owners of API keys whose keys give them other groups or roles than known."""
        now = asyncio.get_running_loop().time()
        if not self._leads() or now - self._owners_compared < self._every:
            return
        await self._send(await owners_to_record(self._pool))
        self._owners_compared = now

    async def _send(self, people: list[KnownPerson]) -> None:
        if people:
            outcomes = await self._directory.record_all(SERVICE, people)
            for person, outcome in zip(people, outcomes, strict=True):
                _report(person, outcome)


def _report(person: KnownPerson, outcome: Outcome) -> None:
    if isinstance(outcome, Refused):
        _log.warning("person_not_recorded", id=person.id, reason=outcome.message)
    elif isinstance(outcome, Exception):
        raise outcome


def _as_told(principal: Principal, known: KnownPerson | None) -> KnownPerson | None:
    """Return the person as their token says, None if nothing is to be recorded.

    A token without a name or an address does not take away those of an earlier one: of one person,
    the tokens for programs often say less than those of the sign-in.
    """
    if known is not None and PersonSource.TOKEN.yields_to(known.source):
        return None
    name = None if principal.name == principal.id else principal.name
    told = KnownPerson(
        id=principal.id,
        name=name or (None if known is None else known.name),
        emails=(() if known is None else known.emails)
        if principal.email is None
        else (principal.email,),
        groups=principal.groups,
        roles=principal.roles,
        source=PersonSource.TOKEN,
    )
    if known is None:
        return told
    same = (known.name, known.emails, known.groups, known.roles, known.source) == (
        told.name,
        told.emails,
        told.groups,
        told.roles,
        told.source,
    )
    return None if same else told
