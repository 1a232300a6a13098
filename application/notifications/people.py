"""What notifications need to know about people. ``application/directory.py`` knows them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.values import Principal


class Addressee(Protocol):
    """A person of the directory."""

    @property
    def id(self) -> str:
        """The person's id, in its normal form."""

    @property
    def name(self) -> str | None:
        """The name to show."""

    @property
    def emails(self) -> tuple[str, ...]:
        """The person's addresses, the one to use first."""

    @property
    def active(self) -> bool:
        """False if the person was deactivated."""

    @property
    def principal(self) -> Principal:
        """The person with roles and groups, as the rules judge them."""


class People(Protocol):
    """The directory, as far as it is needed here."""

    async def members(self, groups: Iterable[str]) -> Sequence[Addressee]:
        """Return the active people who are in one of these groups."""

    async def eligible(self, execution: Execution, approval: Approval) -> Sequence[Addressee]:
        """Return the active people whose decision would count now, in the order of their ids."""

    async def people_of(self, ids: Iterable[str]) -> Mapping[str, Addressee]:
        """Return the known people with these ids, by their ids in normal form."""
