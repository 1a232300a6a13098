"""Deciding several approvals at once: one page that shows all of them, and one confirmation."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response

from api.console.forms import Form
from api.console.pages.decisions import (
    MAX_DECISIONS,
    VERDICTS,
    Wish,
    decision,
    refusal_text,
    send,
    text_of,
)
from api.console.pages.heavy import made_from
from api.console.responses import PageError
from api.console.views.approval_page import shown
from api.console.views.differences import Difference, differences
from api.console.visit import Visit, not_found
from api.schema.authorized_lookups import visible_approval
from application.command_handling.outcomes import Accepted, Refused
from domain.approvals.state import Verdict
from domain.identifiers import ApprovalId

MAX_COLUMNS = 6


class Result(msgspec.Struct, frozen=True):
    """What came of one decision; ``refusal`` is "" if it was taken."""

    id: str
    title: str
    refusal: str


async def show(visit: Visit) -> Response:
    """Show what was marked, and what differs among it."""
    verdict = _verdict(visit, visit.query)
    return await _confirmation(visit, _ids(visit, visit.query.all("id")), verdict)


async def post(visit: Visit) -> Response:
    """Decide all of them, and show what came of each."""
    verdict = _verdict(visit, visit.form)
    given = [wish.partition(" ") for wish in visit.form.all("wish")]
    ids = _ids(visit, [text for text, _, _ in given])
    if verdict is Verdict.REJECTED and text_of(visit, "comment") is None:
        refusal = visit.text("Say why you reject: a rejection needs a comment.")
        return await _confirmation(visit, ids, verdict, refusal=refusal, status=422)
    digests = {text: digest for text, _, digest in given}
    wishes = [Wish(approval_id, digests[str(approval_id)]) for approval_id in ids]
    outcomes = await send(visit, [decision(visit, wish, verdict) for wish in wishes])
    results = []
    for wish, outcome in zip(wishes, outcomes, strict=True):
        assert isinstance(outcome, Accepted | Refused)
        found = await visible_approval(visit.context, str(wish.approval_id))
        title = (found[1].title or "") if found is not None else str(wish.approval_id)
        results.append(Result(str(wish.approval_id), title, refusal_text(visit, outcome)))
    done = sum(not result.refusal for result in results)
    return visit.page(
        "decided.html", results=results, done=done, granting=verdict is Verdict.GRANTED
    )


async def _confirmation(
    visit: Visit, ids: list[ApprovalId], verdict: Verdict, *, refusal: str = "", status: int = 200
) -> Response:
    found = [await visible_approval(visit.context, str(approval_id)) for approval_id in ids]
    seen = [one for one in found if one is not None]
    if not seen:
        raise not_found(visit)

    def fill() -> Response:
        approvals = [shown(visit.reader, *one) for one in seen]
        granting = verdict is Verdict.GRANTED
        with_forms = [one for one in approvals if one.may_decide and one.has_form and granting]
        decidable = [one for one in approvals if one.may_decide and one not in with_forms]
        differing = _differing([one.document for one in decidable], visit.text)
        return visit.page(
            "decide.html",
            status=status,
            approvals=decidable,
            others=[one for one in approvals if not one.may_decide],
            with_forms=with_forms,
            columns=differing[:MAX_COLUMNS],
            more_columns=len(differing) - MAX_COLUMNS,
            granting=granting,
            typed=visit.form.value("comment"),
            refusal=refusal,
        )

    return await made_from([approval for _, approval in seen], fill)


def _differing(documents: list[dict[str, Any]], text: Callable[..., str]) -> list[Difference]:
    """Return what differs among the documents, apart from what always does; the payload first."""
    if len(documents) < 2:  # noqa: PLR2004
        return []
    around = [
        {
            text("Workflow"): document["workflow"],
            text("Asked by"): document["initiator"]["id"],
            text("For whom"): document["onBehalfOf"],
        }
        for document in documents
    ]
    payloads = [{"payload": document["payload"]} for document in documents]
    return [
        Difference(one.path.removeprefix("payload."), one.values)
        for one in (*differences(payloads), *differences(around))
    ]


def _ids(visit: Visit, given: list[str]) -> list[ApprovalId]:
    ids = [found for text in dict.fromkeys(given) if (found := ApprovalId.parse(text)) is not None]
    if not ids:
        raise PageError(
            400,
            visit.text("Nothing is marked"),
            visit.text("Mark approvals in the inbox first."),
        )
    if len(ids) > MAX_DECISIONS:
        raise PageError(
            400,
            visit.text("Too many are marked"),
            visit.text("Mark at most %(most)s at once.", most=MAX_DECISIONS),
        )
    return ids


def _verdict(visit: Visit, given: Form) -> Verdict:
    verdict = VERDICTS.get(given.value("verdict"))
    if verdict is None:
        raise not_found(visit)
    return verdict
