"""What ``api.container`` starts and stops."""

from typing import Protocol


class Part(Protocol):
    """A part of a server that works in the background."""

    async def start(self) -> None:
        """Start."""

    async def close(self) -> None:
        """Stop."""
