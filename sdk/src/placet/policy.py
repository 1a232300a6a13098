"""Who has to agree: ``require(1, group="finance") & require(1, group="legal")``."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

OnExpiry = Literal["REJECT", "GRANT", "ESCALATE"]


class RequirementInput(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A number of people who are in any of the groups or among the users.

    They are asked when all requirements of lower stages are met.
    """

    count: int = 1
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    stage: int = 1


class Policy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """All requirements must be met, by distinct people.

    ``rejections``: how many people it takes to reject. Unless ``initiator_allowed``, the four-eyes
    rule holds: the person who started the execution, the person on whose behalf it was started and
    the one who requests the approval can't decide. ``within``, ``remind_before``, ``on_expiry``,
    ``escalate_to`` and ``calendar`` are those of :meth:`expires`, ``valid_for`` is that of
    :meth:`lapses`. ``amendable``: a grant may change the payload. ``comment_required``: a grant
    needs a comment. ``acr_values`` and ``max_auth_age`` are those of :meth:`step_up`.
    """

    requirements: tuple[RequirementInput, ...]
    rejections_needed: int = msgspec.field(name="rejections", default=1)
    initiator_allowed: bool = msgspec.field(name="allowInitiator", default=False)
    within: timedelta | None = None
    remind_before: tuple[timedelta, ...] = ()
    on_expiry: OnExpiry = "REJECT"
    escalate_to: tuple[str, ...] = ()
    valid_for: timedelta | None = None
    amendable: bool = False
    comment_required: bool = False
    calendar: str | None = None
    acr_values: tuple[str, ...] = ()
    max_auth_age: timedelta | None = None

    @property
    def stages(self) -> int:
        """The number of the last stage."""
        return max(each.stage for each in self.requirements)

    def __and__(self, other: "Policy") -> "Policy":
        """Return the policy that requires what both require. Each requirement keeps its stage.

        The stricter four-eyes rule holds, the smaller number of rejections, and the shorter time to
        use the grant. The payload may be amended if both allow it. A comment is required if one of
        them requires it, and the login is the one that both take. Raises ValueError if there is no
        such login, if both say what happens at the deadline, and not the same, or if they name
        different calendars.
        """
        if None not in {self.calendar, other.calendar} and self.calendar != other.calendar:
            msg = f"the policies name two calendars: {self.calendar!r} and {other.calendar!r}"
            raise ValueError(msg)
        terms = _expiry(self)
        if _expiry(other) != _NO_EXPIRY:
            if terms not in (_NO_EXPIRY, _expiry(other)):
                msg = "both policies have a deadline of their own: call expires() on the result"
                raise ValueError(msg)
            terms = _expiry(other)
        within, remind_before, on_expiry, escalate_to = terms
        return Policy(
            requirements=self.requirements + other.requirements,
            rejections_needed=min(self.rejections_needed, other.rejections_needed),
            initiator_allowed=self.initiator_allowed and other.initiator_allowed,
            within=within,
            calendar=self.calendar or other.calendar,
            remind_before=remind_before,
            on_expiry=on_expiry,
            escalate_to=escalate_to,
            valid_for=_shorter(self.valid_for, other.valid_for),
            amendable=self.amendable and other.amendable,
            comment_required=self.comment_required or other.comment_required,
            acr_values=_taken_by_both(self.acr_values, other.acr_values),
            max_auth_age=_shorter(self.max_auth_age, other.max_auth_age),
        )

    def then(self, later: "Policy") -> "Policy":
        """Return the policy that first requires what this one does, and then what ``later`` does.

        The people of ``later`` are asked when this one is met. Otherwise as with ``&``.
        """
        moved = tuple(replace(each, stage=each.stage + self.stages) for each in later.requirements)
        return self & replace(later, requirements=moved)

    def allow_initiator(self) -> "Policy":
        """Return the policy with which the initiator may decide too."""
        return replace(self, initiator_allowed=True)

    def rejections(self, count: int) -> "Policy":
        """Return the policy with which it takes ``count`` people to reject."""
        return replace(self, rejections_needed=count)

    def expires(
        self,
        within: timedelta | None = None,
        *,
        remind_before: Iterable[timedelta] = (),
        on_expiry: OnExpiry = "REJECT",
        escalate_to: Iterable[str] = (),
        calendar: str | None = None,
    ) -> "Policy":
        """Return the policy with a deadline, and with what happens then.

        ``within``: the time from the request to the deadline. Leave it out if the request gives the
        deadline. ``remind_before``: how long before it people are reminded. ``on_expiry``: "REJECT"
        ends the approval EXPIRED, "GRANT" grants it, "ESCALATE" lets members of the groups
        ``escalate_to`` decide too and moves the deadline once by the same time. ``calendar``: a
        calendar of the service, in whose working time ``within`` and ``remind_before`` count; the
        one of :func:`require` if it is left out. Raises ValueError for another action, and for
        ESCALATE without groups or groups without ESCALATE.
        """
        if on_expiry not in get_args(OnExpiry):
            msg = f"on_expiry is {on_expiry!r}, it must be one of {', '.join(get_args(OnExpiry))}"
            raise ValueError(msg)
        groups = _many(escalate_to, "escalate_to")
        if (on_expiry == "ESCALATE") != bool(groups):
            msg = "on_expiry ESCALATE and escalate_to need each other: name the groups"
            raise ValueError(msg)
        return replace(
            self,
            within=within,
            calendar=calendar or self.calendar,
            remind_before=tuple(remind_before),
            on_expiry=on_expiry,
            escalate_to=groups,
        )

    def lapses(self, after: timedelta) -> "Policy":
        """Return the policy whose grant can be used for this time only."""
        return replace(self, valid_for=after)

    def allow_amendment(self) -> "Policy":
        """Return the policy with which a grant may change the payload.

        Grants before it no longer count. ``clearance.payload`` is the payload as finally granted.
        """
        return replace(self, amendable=True)

    def require_comment(self) -> "Policy":
        """Return the policy with which a grant needs a comment."""
        return replace(self, comment_required=True)

    def step_up(self, *acr_values: str, max_auth_age: timedelta | None = None) -> "Policy":
        """Return the policy that asks deciders for a certain login.

        ``acr_values``: it has one of these strengths. ``max_auth_age``: it is no older than this.
        Others are refused with StepUpRequired, as are API keys, which have no login. A standing
        grant decides nothing then. Raises ValueError if neither is given.
        """
        if not acr_values and max_auth_age is None:
            msg = "step_up needs acr_values or max_auth_age"
            raise ValueError(msg)
        return replace(self, acr_values=acr_values, max_auth_age=max_auth_age)


_Expiry = tuple[timedelta | None, tuple[timedelta, ...], OnExpiry, tuple[str, ...]]
_NO_EXPIRY: _Expiry = (None, (), "REJECT", ())


def _shorter(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _taken_by_both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    if not one or not other:
        return one or other
    both = tuple(acr for acr in one if acr in other)
    if not both:
        msg = f"no login has a strength out of {one} and one out of {other}"
        raise ValueError(msg)
    return both


def _expiry(policy: Policy) -> _Expiry:
    return policy.within, policy.remind_before, policy.on_expiry, policy.escalate_to


def require(
    count: int = 1,
    *,
    group: str | None = None,
    user: str | None = None,
    groups: Iterable[str] = (),
    users: Iterable[str] = (),
    stage: int = 1,
    calendar: str | None = None,
    amendable: bool = False,
    acr_values: Iterable[str] = (),
    max_auth_age: timedelta | None = None,
) -> Policy:
    """Require ``count`` people who are in any of the groups or among the users.

    ``stage``: they are asked when all requirements of lower stages are met. ``calendar``: the
    deadline and the reminders count only its working time, see :meth:`Policy.expires`.
    ``amendable``: as :meth:`Policy.allow_amendment`. ``acr_values`` and ``max_auth_age``: as
    :meth:`Policy.step_up`. Raises ValueError if the count or the stage is below one or nobody is
    named.
    """
    requirement = RequirementInput(
        count=count,
        groups=(*_one(group), *_many(groups, "groups")),
        users=(*_one(user), *_many(users, "users")),
        stage=stage,
    )
    if count < 1:
        msg = f"require needs a count of at least 1, not {count}"
        raise ValueError(msg)
    if stage < 1:
        msg = f"require needs a stage of at least 1, not {stage}"
        raise ValueError(msg)
    if not requirement.groups and not requirement.users:
        msg = "require needs a group or a user: nobody could meet it"
        raise ValueError(msg)
    return Policy(
        requirements=(requirement,),
        calendar=calendar,
        amendable=amendable,
        acr_values=_many(acr_values, "acr_values"),
        max_auth_age=max_auth_age,
    )


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _many(names: Iterable[str], field: str) -> tuple[str, ...]:
    # A string is iterable too. Each of its letters would become a group.
    if isinstance(names, str):
        msg = f"{field} takes a list of names, not one string"
        raise TypeError(msg)
    return tuple(names)
