"""Finding an execution or an approval by what was typed: its id, or any unique beginning of it."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

import typer

from placet.cli.terminal import safe
from placet.client.client import Client
from placet.errors import PlacetError
from placet.models.commands import ApprovalFilter, ExecutionFilter
from placet.models.enums import ApprovalStatus
from placet.models.responses import Approval, Comment, Execution, PreviousRound

Id = Annotated[str, typer.Argument(metavar="ID", help="An id, or any unique beginning of one.")]

SHORT = 8
"""Characters of a short id at least."""
_CANDIDATES = 10
_NAMED = 3
_UUID = 36
_TYPED = re.compile(r"(?P<execution>[0-9a-fA-F][0-9a-fA-F-]{0,35})(?:\.(?P<ordinal>\d{1,9}))?")


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """Return the shortest beginning of each execution's id that is unique among them.

    The ids of approvals keep the number after the dot.
    """
    executions = sorted({each.partition(".")[0] for each in ids})
    length = dict.fromkeys(executions, SHORT)
    for one, other in pairwise(executions):
        same = next((n for n in range(len(one)) if one[n] != other[n]), len(one))
        for each in (one, other):
            length[each] = max(length[each], same + 1)
    short = {}
    for each in ids:
        execution, dot, ordinal = each.partition(".")
        short[each] = execution[: length[execution]].rstrip("-") + dot + ordinal
    return short


async def existing_execution(client: Client, typed: str) -> Execution:
    """Read an execution. Raises PlacetError if the caller may see none, or several."""
    found = _TYPED.fullmatch(typed)
    if found is None or found["ordinal"] is not None:
        raise await no_such_execution(client, typed)
    if len(typed) < _UUID:
        where = ExecutionFilter(id_begins_with=typed)
        rows = list(await client.executions(where, first=_CANDIDATES))
        if len(rows) > 1:
            raise _several(typed, [f"{each.id} ({each.workflow})" for each in rows])
        if not rows:
            raise await no_such_execution(client, typed)
        typed = rows[0].id
    # From the log, because the list may lag behind it.
    execution = await client.execution(typed)
    if execution is None:
        raise await no_such_execution(client, typed)
    return execution


async def no_such_execution(client: Client, typed: str) -> PlacetError:
    """Return the error for an id that is not an execution: it may be that of an approval."""
    approval = await client.approval(typed)
    if approval is None:
        return PlacetError(f"there is no execution {typed!r} that you may see")
    return PlacetError(f"{typed!r} is an approval; its execution is {approval.execution_id}")


async def existing_approval(client: Client, typed: str) -> Approval:
    """Read an approval. Raises PlacetError if there is none that the caller may see, or several.

    Of several with the beginning, the only pending one is meant.
    """
    if (approval := await client.approval(typed)) is not None:
        return approval
    found = _TYPED.fullmatch(typed)
    rows = [] if found is None else await _candidates(client, found)
    if len(rows) > 1:
        rows = [each for each in rows if each.status is ApprovalStatus.PENDING] or rows
    if not rows:
        raise PlacetError(f"there is no approval {typed!r} that you may see")
    if len(rows) > 1:
        named = [f"{each.id} ({each.title or 'erased'})" for each in rows]
        if len({each.execution_id for each in rows}) == 1:
            raise PlacetError(
                f"{typed!r} is an execution; what is decided on is an approval of it:"
                f" {safe(', '.join(named))}"
            )
        raise _several(typed, named)
    current = await client.approval(rows[0].id)
    return rows[0] if current is None else current


class FullApproval(NamedTuple):
    """An approval with the comments on it and the round before, None for the first."""

    approval: Approval
    comments: list[Comment]
    previous: PreviousRound | None


async def full_approval(client: Client, approval: Approval) -> FullApproval:
    """Read what else a person is shown of an approval."""
    previous = await client.previous_round(approval) if approval.round > 1 else None
    return FullApproval(approval, await client.comments(approval.id), previous)


async def _candidates(client: Client, typed: re.Match[str]) -> list[Approval]:
    where = ApprovalFilter(id_begins_with=typed["execution"])
    rows = list(await client.approvals(where, first=_CANDIDATES))
    if typed["ordinal"] is None:
        return rows
    return [each for each in rows if each.id.endswith(f".{typed['ordinal']}")]


def _several(typed: str, named: Sequence[str]) -> PlacetError:
    shown = ", ".join(named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")
    return PlacetError(f"{typed!r} is the beginning of several ids: {safe(shown)}")
