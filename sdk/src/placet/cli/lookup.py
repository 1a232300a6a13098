"""Finding an execution by the id that was typed."""

from typing import Annotated

import typer

from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.responses import Execution

Id = Annotated[str, typer.Argument(metavar="ID")]


async def existing_execution(client: Client, id_: str) -> Execution:
    """Read an execution. Raises PlacetError if there is none that the caller may see."""
    execution = await client.execution(id_)
    if execution is None:
        raise await no_such_execution(client, id_)
    return execution


async def no_such_execution(client: Client, id_: str) -> PlacetError:
    """Return the error for an id that is not an execution: it may be that of an approval."""
    approval = await client.approval(id_)
    if approval is None:
        return PlacetError(f"there is no execution {id_!r} that you may see")
    return PlacetError(f"{id_!r} is an approval; its execution is {approval.execution_id}")
