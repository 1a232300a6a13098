"""Sends people's decisions to the writer, as the mutations of the API do."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from api.console.catalogue import N_
from api.console.views.wording import reason_text
from api.console.visit import Visit
from api.graphql.caller import trace_of
from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.command_handling.requests import Request
from domain.approvals.commands import (
    Decide,
    PersonsApprovalCommand,
)
from domain.approvals.state import Verdict
from domain.identifiers import ApprovalId
from domain.refusals import RefusalCode

MAX_DECISIONS = 100
VERDICTS = {
    "grant": Verdict.GRANTED,
    "reject": Verdict.REJECTED,
    "request-changes": Verdict.CHANGES_REQUESTED,
}

_REFUSALS = {
    RefusalCode.ALREADY_DECIDED: N_("This was decided meanwhile. Your decision was not needed."),
    RefusalCode.DIGEST_MISMATCH: N_(
        "This is not what you were shown any more. Read it again before you decide."
    ),
    RefusalCode.FORBIDDEN: N_("Your roles do not allow deciding."),
    RefusalCode.NOT_FOUND: N_("This approval is not there, or not yours to see."),
    RefusalCode.STEP_UP_REQUIRED: N_(
        "This decision needs a fresher or stronger login. Sign in again on the approval's page."
    ),
    RefusalCode.OVERLOADED: N_("The server is too busy. Nothing was recorded, try again."),
    RefusalCode.OUTCOME_UNKNOWN: N_(
        "It is not known whether your decision was recorded. Look again before you repeat it."
    ),
}


class Wish(NamedTuple):
    """A decision about one approval: the digest is that of what the person was shown."""

    approval_id: ApprovalId
    digest: str


def decision(visit: Visit, wish: Wish, verdict: Verdict, amended_payload: Any = None) -> Decide:
    """Return the command for the decision that a form holds.

    The page that was shown gave its form a key, so that a second click repeats the first, and
    deciding again after a decision was taken back does not.
    """
    return Decide(
        by=visit.principal,
        execution_id=wish.approval_id.execution_id,
        ordinal=wish.approval_id.ordinal,
        verdict=verdict,
        digest=wish.digest,
        comment=text_of(visit, "comment"),
        amended_payload=amended_payload,
        key=visit.form.word("key"),
    )


def text_of(visit: Visit, field: str) -> str | None:
    """Return what was typed into a field of several lines, None if nothing was."""
    return visit.form.value(field).replace("\r\n", "\n").strip() or None


async def send(visit: Visit, commands: Sequence[PersonsApprovalCommand]) -> list[Outcome]:
    """Send the commands. Returns one outcome for each; a fault is raised."""
    trace = trace_of(visit.request.headers)
    requests = [Request(command=command, command_id=uuid4(), trace=trace) for command in commands]
    outcomes = await visit.services.writer.handle(requests, chained=False)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def refusal_text(visit: Visit, outcome: Accepted | Refused) -> str:
    """Return why a decision was refused, in words to the person; "" if it was not."""
    return "" if isinstance(outcome, Accepted) else refusal_in_words(visit.text, outcome)


def refusal_in_words(text: Callable[..., str], refused: Refused) -> str:
    """Return why a decision was refused, in words to the person who made it."""
    if refused.code is RefusalCode.INVALID_INPUT and "comment" in refused.message:
        if "must not be empty" in refused.message:
            return text("Say why: this decision needs a comment.")
        return text("The comment can't be taken: %(why)s.", why=refused.message)
    if refused.code is RefusalCode.NOT_ELIGIBLE:
        return reason_text(refused.message, text)
    words = _REFUSALS.get(refused.code)
    return reason_text(refused.message, text) if words is None else text(words)
