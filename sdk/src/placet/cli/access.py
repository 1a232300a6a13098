"""The options that say which service the command talks to, and as whom."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import msgspec
import typer

from placet.cli.terminal import errors
from placet.client.client import Client
from placet.errors import PlacetError, Unauthenticated

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., None])

RETRY_SECONDS = 2.0
_NOT_VALID = (
    "the token is missing, unknown, revoked or has expired, or its owner was deactivated;"
    " give another one with --token, PLACET_TOKEN or --as"
)


@dataclass(frozen=True, slots=True)
class Access:
    """An address and a token, as the options gave them."""

    url: str
    token: str | None
    name: str | None
    data: Path

    def client(self) -> Client:
        """Return a client. Raises PlacetError if there is no token, or the address is not one."""
        # An explicit --as wins over a token from the environment.
        token = None if self.name else self.token
        token = token or self._development_token()
        try:
            return Client(self.url, token, retry_for=RETRY_SECONDS)
        except ValueError as error:
            raise PlacetError(str(error)) from error

    def but(self, url: str | None, token: str | None, name: str | None, data: Path | None) -> Self:
        """Return the access with the given options replaced."""
        return type(self)(
            url or self.url, token or self.token, name or self.name, data or self.data
        )

    def _development_token(self) -> str:
        if self.name is None:
            raise PlacetError(
                "no token: give --token or PLACET_TOKEN,"
                " or in development --as NAME (operator, approver-a, ...)"
            )
        path = self.data / "dev-tokens.json"
        try:
            tokens = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except OSError as error:
            raise PlacetError(
                f"no development tokens in {path} ({error.strerror}):"
                " --data names the directory that the server was started with"
            ) from error
        except msgspec.MsgspecError as error:
            raise PlacetError(f"development tokens can't be read: {path}: {error}") from error
        if self.name not in tokens:
            known = ", ".join(sorted(tokens))
            raise PlacetError(f"{path} has no token for {self.name!r}; it has: {known}")
        return tokens[self.name]


_OPTIONS = {
    "access_url": Annotated[
        str | None, typer.Option("--url", help="The service.", show_default=False)
    ],
    "access_token": Annotated[
        str | None, typer.Option("--token", help="Who you are.", show_default=False)
    ],
    "access_name": Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="In development: act as this one.")
    ],
    "access_data": Annotated[
        Path | None,
        typer.Option("--data", help="In development: the service's directory.", show_default=False),
    ],
}


def anywhere(function: Function) -> Function:
    """Let a command take the access options after its name too, where people type them.

    An option after the command wins over the same option before it.
    """

    @wraps(function)
    def command(context: typer.Context, **given: Any) -> None:
        late = [given.pop(name) for name in _OPTIONS]
        context.obj = context.ensure_object(Access).but(*late)
        function(context, **given)

    # typer reads the options of a command from its signature.
    signature = inspect.signature(function)
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    taken = signature.replace(parameters=[*signature.parameters.values(), *options])
    command.__signature__ = taken  # type: ignore[attr-defined]
    command.__annotations__ = {**function.__annotations__, **_OPTIONS}
    return command  # type: ignore[return-value]


def run(context: typer.Context, work: Callable[[Client], Awaitable[T]]) -> T:
    """Run the work with a client. An error is printed as one line, with exit code 1."""

    async def with_client() -> T:
        async with context.ensure_object(Access).client() as client:
            return await work(client)

    try:
        return asyncio.run(with_client())
    except (PlacetError, ValueError) as error:
        said = _NOT_VALID if isinstance(error, Unauthenticated) else error
        errors.print(f"placet: {said}", style="red", markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt
