"""Carries out what SCIM asks for groups. Who is a member is recorded with the people."""

from typing import Any
from uuid import UUID, uuid4

from scim2_models import (
    Context,
    Group,
    InvalidValueException,
    ListResponse,
    NotFoundException,
    PatchOp,
)

from api.scim.resources import POLICY, StoredGroup, group_details, group_of, member_ids
from api.scim.tables import ScimTables, simple
from api.scim.users import MAX_SEARCHED, Users
from domain import validation
from domain.authorization import SCIM
from domain.directory.commands import ChangeGroups
from domain.identifiers import parse_uuid
from domain.names import normal

_COLUMNS = ("id", "displayname")


class Groups:
    """The groups of one database. What is wrong with a request is raised as a SCIMException."""

    def __init__(self, tables: ScimTables, users: Users) -> None:
        self._tables = tables
        self._users = users

    async def search(self, asked: Any, base: str) -> ListResponse[Group]:
        """Return a page of groups, in the order of their names."""
        start, count = max(asked.start_index or 1, 1), asked.count or 0
        wanted = None if asked.filter is None else simple(asked.filter, _COLUMNS)
        if asked.filter is None or wanted is not None:
            column, value = wanted or (None, "")
            value = normal(value) if column == "displayname" else value
            found, total = await self._tables.groups(column, value, start=start - 1, limit=count)
            if not found and (start > 1 or not count):
                _, total = await self._tables.groups(column, value, start=0, limit=1)
            page = [group_of(each, base) for each in found]
        else:
            matching = [group for group in await self.every(base) if asked.filter.match(group)]
            total, page = len(matching), matching[start - 1 : start - 1 + count]
        return ListResponse[Group](
            total_results=total, start_index=start, items_per_page=len(page), resources=page
        )

    async def every(self, base: str) -> list[Group]:
        """Return all groups, up to MAX_SEARCHED."""
        stored, _ = await self._tables.groups(None, "", start=0, limit=MAX_SEARCHED)
        return [group_of(each, base) for each in stored]

    async def get(self, id_: str, base: str) -> Group:
        """Return the group with this id."""
        return group_of(await self._stored(id_), base)

    async def create(self, payload: Any, base: str) -> Group:
        """Make a group with its members."""
        group: Group = Group.model_validate(
            payload, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY
        )
        id_ = uuid4()
        await self._write(StoredGroup(id=id_, name="", details={}), group)
        return await self.get(str(id_), base)

    async def replace(self, id_: str, payload: Any, base: str) -> Group:
        """Replace a group and who its members are."""
        current = await self._stored(id_)
        group: Group = Group.model_validate(
            payload,
            scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST,
            scim_policy=POLICY,
        )
        group.replace(group_of(current, base))
        await self._write(current, group)
        return await self.get(id_, base)

    async def patch(self, id_: str, payload: Any, base: str) -> Group:
        """Change a group, mostly who its members are."""
        current = await self._stored(id_)
        group = group_of(current, base)
        patch = PatchOp[Group].model_validate(
            payload, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        )
        patch.patch(group, POLICY)
        await self._write(current, group)
        return await self.get(id_, base)

    async def delete(self, id_: str) -> None:
        """Delete a group. Its members are not in it any more."""
        current = await self._stored(id_)
        ids = frozenset(id_ for id_, _ in current.members)
        await self._move(ids, joined=frozenset(), left=frozenset({current.name}))
        await self._tables.drop_group(current.id)

    async def _write(self, current: StoredGroup, group: Group) -> None:
        name = normal(group.display_name or "")
        if problem := validation.name(name, "displayName"):
            raise InvalidValueException(detail=problem)
        before, after = frozenset(id_ for id_, _ in current.members), _member_ids(group)
        # Before anything is written: that all of them are there.
        await self._users.members(after)
        left = frozenset({current.name}) if current.name else frozenset[str]()
        if left:
            await self._tables.check_free(current.id, name)
        else:
            await self._tables.put_group(current.id, name, group_details(group))
        await self._move(before - after, joined=frozenset(), left=left)
        moved = after if name != current.name else after - before
        await self._move(moved, joined=frozenset({name}), left=left - {name})
        if left:
            # Last, so that a rename that was cut short is done completely when it is repeated.
            await self._tables.put_group(current.id, name, group_details(group))

    async def _move(
        self, ids: frozenset[UUID], *, joined: frozenset[str], left: frozenset[str]
    ) -> None:
        if not ids:
            return
        people = await self._users.members(ids)
        await self._users.send(
            [
                ChangeGroups(by=SCIM, person=person.id, joined=joined, left=left)
                for person in people.values()
            ]
        )

    async def _stored(self, text: str) -> StoredGroup:
        id_ = parse_uuid(text)
        if id_ is not None:
            found, _ = await self._tables.groups("id", str(id_), start=0, limit=1)
            if found:
                return found[0]
        raise NotFoundException(detail=f"there is no group with the id {text!r}")


def _member_ids(group: Group) -> frozenset[UUID]:
    try:
        return member_ids(group)
    except ValueError:
        msg = "members must have the ids of users as their values"
        raise InvalidValueException(detail=msg) from None
