"""Carries out what SCIM asks for users: each is a person of the directory."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID, uuid4

from msgspec.structs import replace
from scim2_models import (
    Context,
    InvalidValueException,
    ListResponse,
    NotFoundException,
    PatchOp,
    UniquenessException,
)

from api.scim.resources import POLICY, ScimUser, person_of, user_of
from api.scim.tables import COLUMNS, ScimTables, simple
from application.command_handling.outcomes import Accepted, Refused
from application.directory import Directory, KnownPerson, record_command
from domain.authorization import SCIM
from domain.directory.commands import DeactivatePerson, PersonCommand, ReactivatePerson
from domain.identifiers import parse_uuid
from domain.names import normal
from domain.refusals import RefusalCode

MAX_SEARCHED = 20_000
"""How many users or groups are compared one by one with a filter that has no index."""

PersonId = Literal["userName", "externalId"]
"""The attribute of a user that is the id of the person here."""


class Users:
    """The users of one database. What is wrong with a request is raised as a SCIMException."""

    def __init__(self, tables: ScimTables, directory: Directory, person_id: PersonId) -> None:
        self._tables = tables
        self._directory = directory
        self._person_id = person_id

    async def search(self, asked: Any, base: str) -> ListResponse[ScimUser]:
        """Return a page of users, in the order of the ids of their people."""
        start, count = max(asked.start_index or 1, 1), asked.count or 0
        wanted = None if asked.filter is None else simple(asked.filter, COLUMNS)
        if asked.filter is None or wanted is not None:
            column, value = wanted or (None, "")
            found, total = await self._tables.users(column, value, start=start - 1, limit=count)
            if not found and (start > 1 or not count):
                _, total = await self._tables.users(column, value, start=0, limit=1)
            page = await self.shown(found, base)
        else:
            matching = [user for user in await self.every(base) if asked.filter.match(user)]
            total, page = len(matching), matching[start - 1 : start - 1 + count]
        return ListResponse[ScimUser](
            total_results=total, start_index=start, items_per_page=len(page), resources=page
        )

    async def every(self, base: str) -> list[Any]:
        """Return all users, up to MAX_SEARCHED."""
        found, _ = await self._tables.users(None, "", start=0, limit=MAX_SEARCHED)
        return await self.shown(found, base)

    async def shown(self, people: Sequence[KnownPerson], base: str) -> list[Any]:
        """Return the users that show these people."""
        names = {name for person in people for name in person.groups}
        group_ids = await self._tables.group_ids(names) if names else {}
        return [user_of(person, group_ids, base) for person in people]

    async def get(self, id_: str, base: str) -> Any:
        """Return the user with this id."""
        [user] = await self.shown([await self._person(id_)], base)
        return user

    async def create(self, payload: Any, base: str) -> Any:
        """Make a user. A person who is known already is kept up to date by SCIM from then on."""
        user = ScimUser.model_validate(
            payload, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        person = person_of(user, uuid4(), self._id_of(user))
        await self._check_free(user, person)
        await self._record(None, person, active=user.active)
        return await self.get(str(person.provisioned_id), base)

    async def replace(self, id_: str, payload: Any, base: str) -> Any:
        """Replace all attributes of a user."""
        current = await self._person(id_)
        [before] = await self.shown([current], base)
        user = ScimUser.model_validate(
            payload,
            scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST,
            scim_policy=POLICY,
        )
        user.replace(before)
        return await self._change(current, user, base)

    async def patch(self, id_: str, payload: Any, base: str) -> Any:
        """Change some attributes of a user."""
        current = await self._person(id_)
        [user] = await self.shown([current], base)
        patch = PatchOp[ScimUser].model_validate(
            payload, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        patch.patch(user, POLICY)
        return await self._change(current, user, base)

    async def delete(self, id_: str) -> None:
        """Deactivate a person. SCIM does not know them any more."""
        current = await self._person(id_)
        await self._release(current)

    async def _change(self, current: KnownPerson, user: Any, base: str) -> Any:
        assert current.provisioned_id is not None
        person = person_of(user, current.provisioned_id, self._id_of(user))
        await self._check_free(user, person, current)
        if person.id != current.id:
            # Somebody with another id is somebody else to policies and to four eyes.
            await self._release(current)
        await self._record(current, person, active=user.active)
        return await self.get(str(person.provisioned_id), base)

    async def _record(
        self, current: KnownPerson | None, person: KnownPerson, *, active: bool | None
    ) -> None:
        """Record a person, who keeps the groups that they have as ``current``.

        ``active`` of None: they stay as active as they are.
        """
        groups = None
        if current is None or current.id != person.id:
            groups = frozenset[str]() if current is None else current.groups
        commands: list[PersonCommand] = [replace(record_command(SCIM, person), groups=groups)]
        if active is False:
            commands.append(DeactivatePerson(by=SCIM, person=person.id))
        elif active or current is None:
            commands.append(ReactivatePerson(by=SCIM, person=person.id))
        await self.send(commands)

    async def _release(self, current: KnownPerson) -> None:
        """Deactivate a person whom SCIM does not keep up to date any more, and empty the record."""
        left = KnownPerson(id=current.id, name=current.name, source=current.source)
        await self.send([record_command(SCIM, left), DeactivatePerson(by=SCIM, person=current.id)])

    async def send(self, commands: Sequence[PersonCommand]) -> None:
        """Send commands, all of which must be carried out. Raises InvalidValueException."""
        for outcome in await self._directory.send_all(commands):
            match outcome:
                case Accepted():
                    continue
                case Refused(code=RefusalCode.INVALID_INPUT, message=message):
                    raise InvalidValueException(detail=message)
                case Refused(message=message):
                    raise RuntimeError(message)
                case _:
                    raise outcome

    async def _person(self, text: str) -> KnownPerson:
        id_ = parse_uuid(text)
        found = {} if id_ is None else await self._tables.users_by_id([id_])
        if id_ is None or id_ not in found:
            raise NotFoundException(detail=f"there is no user with the id {text!r}")
        return found[id_]

    async def members(self, ids: frozenset[UUID]) -> dict[UUID, KnownPerson]:
        """Return the users who are members of a group. Raises InvalidValueException."""
        found = await self._tables.users_by_id(ids)
        if missing := ids - found.keys():
            raise InvalidValueException(detail=f"there is no user with the id {min(missing)}")
        return found

    def _id_of(self, user: Any) -> str:
        id_ = user.user_name if self._person_id == "userName" else user.external_id
        if not id_ or not id_.strip():
            raise InvalidValueException(detail=f"{self._person_id} is missing, which is the id")
        return normal(id_)

    async def _check_free(
        self, user: Any, person: KnownPerson, current: KnownPerson | None = None
    ) -> None:
        """Raise UniquenessException if another user has the name or is the same person."""
        own = None if current is None else current.provisioned_id
        same_name, _ = await self._tables.users("username", user.user_name, start=0, limit=2)
        same_person = await self._directory.person(person.id)
        others = [*same_name, *([same_person] if same_person else [])]
        if any(each.provisioned_id not in {None, own} for each in others):
            msg = f"there is a user with the userName {user.user_name!r} already"
            raise UniquenessException(detail=msg)
