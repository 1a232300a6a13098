"""Users and groups as SCIM shows them, and people as SCIM describes them.

All that a user has besides what the directory knows is kept with the person as it was sent, so that
the provider finds it again. It means nothing to the service.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import convert
from scim2_models import (
    Context,
    EnterpriseUser,
    Group,
    GroupMember,
    GroupMembership,
    Meta,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    User,
)

from application.directory import KnownPerson
from domain.directory.state import PersonSource
from domain.names import normal
from domain.values import Role

BASE = "/scim/v2"

ScimUser = User[EnterpriseUser]

# Providers send attributes that no schema here has. What is not known is left out.
POLICY = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)

PROVIDER = ScimProvider(
    models=[User, EnterpriseUser, Group],
    resource_types=[
        ResourceType.from_resource(ScimUser),
        ResourceType.from_resource(Group),
    ],
)


class StoredGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group as SCIM has made it. ``details`` is what it has besides its name and members.

    ``displays`` in there has what SCIM calls members, by their ids.
    """

    id: UUID
    name: str
    details: dict[str, Any]
    members: tuple[tuple[UUID, str], ...] = ()


def person_of(user: Any, id_: UUID, person: str) -> KnownPerson:
    """Return the person that a user is, with ``person`` as their id here. Their groups are empty.

    The main address comes first. Roles that the service does not have are left out; without any,
    the person is an APPROVER.
    """
    emails = [each for each in user.emails or () if each.value]
    emails.sort(key=lambda each: not each.primary)
    roles = {each.value for each in user.roles or ()} & {role.value for role in Role}
    return KnownPerson(
        id=person,
        name=_name(user),
        emails=tuple(dict.fromkeys(str(each.value) for each in emails)),
        roles=frozenset(map(Role, roles)) or frozenset({Role.APPROVER}),
        source=PersonSource.SCIM,
        external_id=user.external_id,
        provisioned_id=id_,
        details=_kept(user),
    )


def user_of(person: KnownPerson, group_ids: Mapping[str, UUID], base: str) -> Any:
    """Return the user that shows a person. ``group_ids`` has the ids of groups by their names."""
    user = ScimUser.model_validate(person.details or {"userName": person.id})
    user.id = str(person.provisioned_id)
    # It is said only of whom the provider says it.
    user.active = None if user.active is None else person.active
    user.groups = [
        GroupMembership(value=str(group_ids[name]), display=name, type="direct")
        for name in sorted(person.groups)
        if name in group_ids
    ] or None
    user.meta = Meta(resource_type="User", location=f"{base}/Users/{user.id}")
    return user


def group_of(stored: StoredGroup, base: str) -> Group:
    """Return the group as SCIM shows it, with its members in the order of their names."""
    details = dict(stored.details)
    displays = details.pop("displays", {})
    group: Group = Group.model_validate({**details, "displayName": stored.name})
    group.id = str(stored.id)
    group.members = [
        GroupMember(
            value=str(id_),
            display=displays.get(str(id_), name),
            type="User",
            ref=f"{base}/Users/{id_}",
        )
        for id_, name in stored.members
    ] or None
    group.meta = Meta(resource_type="Group", location=f"{base}/Groups/{group.id}")
    return group


def group_details(group: Group) -> dict[str, Any]:
    """Return what is kept of a group besides its name and members."""
    kept = _json(group)
    for name in ("id", "meta", "members", "displayName"):
        kept.pop(name, None)
    displays = {each.value: each.display for each in group.members or () if each.display}
    return {**kept, "displays": displays} if displays else kept


def member_ids(group: Group) -> frozenset[UUID]:
    """Return the ids of the users who are members. Raises ValueError for one that is no id."""
    return frozenset(convert(str(each.value), UUID) for each in group.members or ())


def _name(user: Any) -> str | None:
    parts = (user.name.given_name, user.name.family_name) if user.name else ()
    formatted = user.name.formatted if user.name else None
    chosen = user.display_name or formatted or " ".join(part for part in parts if part)
    return normal(chosen) or None if chosen else None


def _kept(user: Any) -> dict[str, Any]:
    kept = _json(user)
    # The directory itself says these, and a password is kept nowhere.
    for name in ("id", "meta", "groups", "password"):
        kept.pop(name, None)
    # Whether it is said at all. Whether they are active is in other events.
    if "active" in kept:
        kept["active"] = True
    return kept


def _json(resource: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = resource.model_dump(scim_ctx=Context.DEFAULT, mode="json")
    return dumped
