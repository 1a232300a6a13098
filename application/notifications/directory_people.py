"""The people of the directory, as those who are told."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import msgspec

from application.directory import Directory, KnownPerson
from application.eligible_people import EligiblePeople
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.values import Principal


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person, with roles and groups, and with those in whose place they may decide now."""

    id: str
    name: str | None
    emails: tuple[str, ...]
    active: bool
    principal: Principal


async def _as_known(principal: Principal) -> Principal:
    return principal


class DirectoryPeople:
    """Asks a directory. Raises psycopg errors or PoolTimeout if it is unavailable.

    ``in_places`` adds to a principal those whose substitute it is.
    """

    def __init__(
        self,
        directory: Directory,
        in_places: Callable[[Principal], Awaitable[Principal]] = _as_known,
    ) -> None:
        self._directory = directory
        self._eligible = EligiblePeople(directory)
        self._in_places = in_places

    async def members(self, groups: Iterable[str]) -> list[Person]:
        """Return the active people who are in one of these groups."""
        return await self._all(await self._directory.members(groups))

    async def eligible(self, execution: Execution, approval: Approval) -> list[Person]:
        """Return the active people whose decision would count now, in the order of their ids."""
        return await self._all(await self._eligible.now(execution, approval, datetime.now(UTC)))

    async def people_of(self, ids: Iterable[str]) -> dict[str, Person]:
        """Return the known people with these ids, by their ids in normal form."""
        known = await self._directory.people_of(ids)
        return {person.id: person for person in await self._all(known.values())}

    async def _all(self, people: Iterable[KnownPerson]) -> list[Person]:
        return [
            Person(
                id=each.id,
                name=each.name,
                emails=each.emails,
                active=each.active,
                principal=await self._in_places(each.principal),
            )
            for each in people
        ]
