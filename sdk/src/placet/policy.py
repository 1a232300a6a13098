"""Who has to agree: ``require(1, group="finance") & require(1, group="legal")``."""

from collections.abc import Iterable

import msgspec


class RequirementInput(msgspec.Struct, frozen=True, rename="camel"):
    """A number of people who are in any of the groups or among the users."""

    count: int
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """All requirements must be met, by distinct people.

    ``rejections``: how many people it takes to reject. Unless ``initiator_allowed``, the four-eyes
    rule holds: the person who started the execution, the person on whose behalf it was started and
    the one who requests the approval can't decide.
    """

    requirements: tuple[RequirementInput, ...]
    rejections_needed: int = msgspec.field(name="rejections", default=1)
    initiator_allowed: bool = msgspec.field(name="allowInitiator", default=False)

    def __and__(self, other: "Policy") -> "Policy":
        """Return the policy that requires what both require.

        The stricter four-eyes rule holds, and the smaller number of rejections.
        """
        return Policy(
            requirements=self.requirements + other.requirements,
            rejections_needed=min(self.rejections_needed, other.rejections_needed),
            initiator_allowed=self.initiator_allowed and other.initiator_allowed,
        )

    def allow_initiator(self) -> "Policy":
        """Return the policy with which the initiator may decide too."""
        return msgspec.structs.replace(self, initiator_allowed=True)

    def rejections(self, count: int) -> "Policy":
        """Return the policy with which it takes ``count`` people to reject."""
        return msgspec.structs.replace(self, rejections_needed=count)


def require(
    count: int = 1,
    *,
    group: str | None = None,
    user: str | None = None,
    groups: Iterable[str] = (),
    users: Iterable[str] = (),
) -> Policy:
    """Require ``count`` people who are in any of the groups or among the users.

    Raises ValueError if the count is below one or nobody is named.
    """
    requirement = RequirementInput(
        count=count,
        groups=(*_one(group), *_many(groups, "groups")),
        users=(*_one(user), *_many(users, "users")),
    )
    if count < 1:
        msg = f"require needs a count of at least 1, not {count}"
        raise ValueError(msg)
    if not requirement.groups and not requirement.users:
        msg = "require needs a group or a user: nobody could meet it"
        raise ValueError(msg)
    return Policy(requirements=(requirement,))


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _many(names: Iterable[str], field: str) -> tuple[str, ...]:
    # A string is iterable too. Each of its letters would become a group.
    if isinstance(names, str):
        msg = f"{field} takes a list of names, not one string"
        raise TypeError(msg)
    return tuple(names)
