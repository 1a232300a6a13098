"""Who has to agree: ``require(1, group="finance") & require(1, group="legal")``."""

from collections.abc import Iterable

import msgspec


class RequirementInput(msgspec.Struct, frozen=True, rename="camel"):
    """So many people of any of the groups, or among the users."""

    count: int
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """All requirements must be met, by distinct people.

    ``rejections`` people saying no reject. Unless ``initiator_allowed``, four eyes holds: neither
    who started the execution, nor for whom it was started, nor who asks, decides.
    """

    requirements: tuple[RequirementInput, ...]
    rejections_needed: int = msgspec.field(name="rejections", default=1)
    initiator_allowed: bool = msgspec.field(name="allowInitiator", default=False)

    def __and__(self, other: "Policy") -> "Policy":
        """Give the policy that asks for what either asks.

        The stricter side holds for four eyes, and fewer rejections suffice.
        """
        return Policy(
            requirements=self.requirements + other.requirements,
            rejections_needed=min(self.rejections_needed, other.rejections_needed),
            initiator_allowed=self.initiator_allowed and other.initiator_allowed,
        )

    def allow_initiator(self) -> "Policy":
        """Give the policy under which also the initiator may decide."""
        return msgspec.structs.replace(self, initiator_allowed=True)

    def rejections(self, count: int) -> "Policy":
        """Give the policy under which it takes ``count`` people to reject."""
        return msgspec.structs.replace(self, rejections_needed=count)


def require(
    count: int = 1,
    *,
    group: str | None = None,
    user: str | None = None,
    groups: Iterable[str] = (),
    users: Iterable[str] = (),
) -> Policy:
    """Ask for ``count`` people who are in any of the groups or are among the users.

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
    # A string is iterable too, and would silently become a group for each of its letters.
    if isinstance(names, str):
        msg = f"{field} takes a list of names, not one string"
        raise TypeError(msg)
    return tuple(names)
