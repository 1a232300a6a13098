"""Which service the command talks to, and as whom."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import typer
from rich.console import Console

from placet.client import Client
from placet.errors import PlacetError

T = TypeVar("T")

RETRY_SECONDS = 2.0

errors = Console(stderr=True, soft_wrap=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An address and a token, as the options gave them."""

    url: str
    token: str | None
    name: str | None
    data: Path

    def client(self) -> Client:
        """Give a client. Raises PlacetError if there is no token to be had."""
        return Client(self.url, self.token or self._development_token(), retry_for=RETRY_SECONDS)

    def _development_token(self) -> str:
        if self.name is None:
            raise PlacetError(
                "no token: give --token or PLACET_TOKEN,"
                " or in development --as NAME (operator, approver-a, ...)"
            )
        path = self.data / "dev-tokens.json"
        try:
            tokens = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError) as error:
            raise PlacetError(f"development tokens can't be read: {path}: {error}") from error
        if self.name not in tokens:
            known = ", ".join(sorted(tokens))
            raise PlacetError(f"{path} has no token for {self.name!r}; it has: {known}")
        return tokens[self.name]


def run(context: typer.Context, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do the work with a client. An error is one line on stderr and exit code 1."""

    async def with_client() -> T:
        async with context.ensure_object(Access).client() as client:
            return await work(client)

    try:
        return asyncio.run(with_client())
    except (PlacetError, ValueError) as error:
        errors.print(f"placet: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt
