"""Decisions that are made in Slack: by whom, about what, and why they are refused."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from api.console.catalogue import DEFAULT, translations_of
from api.console.pages.answers import problem_text
from api.console.pages.decisions import refusal_in_words
from api.console.views.wording import reason_text
from api.slack import modal
from api.slack.card import Decidable, obstacle_of
from api.slack.client import SlackClient
from api.slack.identity import People, person_of
from application.command_handling.outcomes import Accepted, Refused
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.directory import KnownPerson
from application.event_store.reader import Reader
from domain import authorization
from domain.approvals import eligibility
from domain.approvals.commands import Decide
from domain.approvals.state import Approval, Verdict
from domain.execution.state import Execution
from domain.mismatches import mismatches
from domain.refusals import RefusalCode
from domain.values import Principal

NOT_THERE = "This request is not there, or not yours to see."
STALE = "This is not what the card showed any more. Read the card again before you decide."
DECIDED = "You have decided this already."
SOME_ANSWERS = "Some answers are missing or do not fit."


class NotRecordedError(Exception):
    """Nothing was recorded. The message says why, in words to the person.

    ``fields``: what is wrong, by the blocks of the window that asked for it.
    """

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = fields or {}


class Deciding:
    """Sends people's decisions to the writer. ``as_principal``: who a person may act for now."""

    def __init__(
        self,
        client: SlackClient,
        people: People,
        reader: Reader,
        writer: Writer,
        as_principal: Callable[[KnownPerson], Awaitable[Principal]],
    ) -> None:
        self._client = client
        self._people = people
        self._reader = reader
        self._writer = writer
        self._as_principal = as_principal

    async def who(self, user_id: str, team_id: str) -> Principal:
        """Return the person that a user is. Raises NotKnownError and SlackError."""
        person = await person_of(self._client, self._people, user_id, team_id)
        return await self._as_principal(person)

    async def found(self, person: Principal, decidable: Decidable) -> tuple[Execution, Approval]:
        """Return what a person wants to decide. Raises NotRecordedError if they may not see it."""
        approval_id = decidable.approval_id
        execution = approval = None
        if approval_id is not None:
            execution = await self._reader.execution(approval_id.execution_id)
        if execution is not None and approval_id is not None:
            approval = execution.approvals.get(approval_id.ordinal)
        if execution is None or approval is None:
            raise NotRecordedError(NOT_THERE)
        if not authorization.sees_approval(person, execution, approval):
            raise NotRecordedError(NOT_THERE)
        if obstacle := obstacle_of(approval):
            raise NotRecordedError(obstacle)
        return execution, approval

    async def decide(
        self,
        person: Principal,
        decidable: Decidable,
        verdict: Verdict,
        *,
        key: str,
        comment: str | None = None,
        answers: Any = None,
        form: Any = None,
    ) -> None:
        """Record a decision. Raises NotRecordedError; a fault of the writer is raised as it is."""
        approval_id = decidable.approval_id
        if approval_id is None:
            raise NotRecordedError(NOT_THERE)
        command = Decide(
            by=person,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            verdict=verdict,
            digest=decidable.digest,
            comment=comment,
            answers=answers,
            key=key,
        )
        [outcome] = await self._writer.handle([Request(command=command, command_id=uuid4())])
        if isinstance(outcome, Refused):
            raise _not_recorded(outcome, form, answers)
        if not isinstance(outcome, Accepted):
            raise outcome


def check_before(
    person: Principal, execution: Execution, approval: Approval, decidable: Decidable
) -> None:
    """Raise NotRecordedError if a decision would be refused, before a person writes the reason.

    The domain checks the same again when it decides, and knows repeats, which this does not.
    """
    if not approval.pending:
        raise NotRecordedError(_text("This was decided meanwhile. Your decision was not needed."))
    if reason := next(eligibility.objections(person, execution, approval), None):
        raise NotRecordedError(reason_text(reason, _text))
    if decidable.digest != approval.digest:
        raise NotRecordedError(STALE)


def _text(message: str, **values: object) -> str:
    translated: str = translations_of(DEFAULT).gettext(message)
    return translated % values if values else translated


def _not_recorded(refused: Refused, form: Any, answers: Any) -> NotRecordedError:
    """Return a refusal in plain words, with the fields of the window that are wrong."""
    if refused.code is RefusalCode.DIGEST_MISMATCH:
        return NotRecordedError(STALE)
    if refused.code is RefusalCode.INVALID_INPUT and refused.message.startswith("answers"):
        fields: dict[str, str] = {}
        for each in mismatches(form, answers):
            fields.setdefault(modal.block_of(form, each.pointer), problem_text(_text, each))
        return NotRecordedError(SOME_ANSWERS, fields)
    if refused.code is RefusalCode.KEY_REUSED:
        return NotRecordedError(DECIDED)
    words = refusal_in_words(_text, refused)
    if refused.code is RefusalCode.INVALID_INPUT and "comment" in refused.message:
        return NotRecordedError(words, {modal.COMMENT: words})
    return NotRecordedError(words)
