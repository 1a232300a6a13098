"""Substitutes, as the service answers and takes them."""

from datetime import datetime

from placet.models.commands import Input
from placet.models.responses import Actor, ResponseModel


class Substitute(ResponseModel, kw_only=True, frozen=True):
    """Who decides in a person's absence, from ``starts_at`` until before ``ends_at``.

    ``number`` counts the substitutions of ``person``. ``groups`` of None means all of the person's.
    ``set_by`` is the person or an ADMIN.
    """

    person: Actor
    number: int
    substitute: Actor
    groups: list[str] | None = None
    starts_at: datetime
    ends_at: datetime
    in_force: bool
    comment: str | None = None
    set_by: Actor


class SubstituteResult(ResponseModel, kw_only=True, frozen=True):
    """The answer to a command. With a ``code`` it was refused.

    ``warnings`` say why the substitute may be unable to decide, such as not being known.
    """

    substitute: Substitute | None = None
    code: str | None = None
    message: str | None = None
    warnings: tuple[str, ...] = ()
    repeated: bool = False
    position: str | None = None


class SubstituteInput(Input, kw_only=True, frozen=True):
    """Name a substitute. Without ``person`` it is that of the caller."""

    substitute: str
    person: str | None = None
    groups: list[str] | None = None
    starts_at: datetime | None = None
    ends_at: datetime
    comment: str | None = None
