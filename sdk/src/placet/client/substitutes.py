"""Substitutes: name who decides in somebody's absence, end that, and see who does."""

from collections.abc import Iterable
from datetime import datetime

from placet.client.transport.envelope import BoundOperation
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import substitutes as operations
from placet.client.transport.retry import retried
from placet.errors import refusal
from placet.models.responses import Page, RefusedResult
from placet.models.substitutes import Substitute, SubstituteInput, SubstituteResult


class Substitutes:
    """The commands and the query. All raise RequestError; the commands also raise Refused."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def set_substitute(
        self,
        substitute: str,
        *,
        ends_at: datetime,
        starts_at: datetime | None = None,
        groups: Iterable[str] | None = None,
        person: str | None = None,
        comment: str | None = None,
    ) -> SubstituteResult:
        """Have somebody else decide in the absence of the caller, or of ``person`` as an ADMIN.

        From ``starts_at`` (None: now) until before ``ends_at``, for these ``groups`` of the absent
        person (None: all, and what names the person). Times have a zone. The same again changes
        nothing. The result may have ``warnings``.
        """
        command = SubstituteInput(
            substitute=substitute,
            person=person,
            groups=None if groups is None else list(groups),
            starts_at=starts_at,
            ends_at=ends_at,
            comment=comment,
        )
        return await self._send(operations.SET(command))

    async def end_substitute(
        self, number: int, *, person: str | None = None, reason: str | None = None
    ) -> SubstituteResult:
        """End a substitution of the caller, or of ``person`` as an ADMIN, before its time."""
        return await self._send(operations.END(number, person, reason))

    async def substitutes(
        self,
        person: str | None = None,
        *,
        first: int = 50,
        after: str | None = None,
        count: bool = False,
    ) -> Page[Substitute]:
        """Return a page of substitutions that are not over, by absent person and number.

        Those in which the caller is absent or the substitute; an AUDITOR or ADMIN sees all.
        ``person``: only those of this person, absent or substitute. ``count``: also count them all.
        """
        return await self._transport.send(
            operations.PAGE(person, first=first, after=after, count=count)
        )

    async def _send(self, bound: BoundOperation[SubstituteResult]) -> SubstituteResult:
        async def once() -> SubstituteResult:
            result = await self._transport.send_once(bound)
            if result.code is not None:
                raise refusal(RefusedResult(code=result.code, message=result.message or ""))
            return result

        return await retried(self._transport.retry_for, once)
