"""Whether this process is the leader, see ``application/process_managers/leader_election.py``."""

from typing import Protocol


class Leadership(Protocol):
    """The leader election, as far as it is needed here."""

    @property
    def leads(self) -> bool:
        """Whether this process is the leader."""

    @property
    def term(self) -> int:
        """How often this process became the leader. Another one may have led between two terms."""

    async def elected(self) -> None:
        """Wait until it is."""
