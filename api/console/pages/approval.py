"""The page of one approval, and the decision that is made there."""

from msgspec.structs import replace
from starlette.responses import Response

from api.console.forms import Form
from api.console.pages.amending import amended_payload, changes_of, review
from api.console.pages.answers import (
    Field,
    UnreadableAnswersError,
    answer_problems,
    fields_of,
)
from api.console.pages.approval_actions import ACTIONS, Attempt
from api.console.pages.approvals_found import earlier, found_approval
from api.console.pages.decisions import refusal_text, send
from api.console.pages.eligible import who_could_decide
from api.console.pages.heavy import made_from
from api.console.responses import PageError, see_other
from api.console.views.approval_page import shown
from api.console.views.approvals import name_of
from api.console.views.comments import CommentPage, comment_page, versions_of
from api.console.views.comparison import compared
from api.console.views.payload_fields import PREFIX, WHOLE
from api.console.views.wording import MY_VERDICTS
from api.console.visit import Visit, not_found
from api.identity.issuers import Issuer
from application.command_handling.outcomes import Accepted, Refused
from domain import authorization
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.refusals import RefusalCode

_STATUS = {
    RefusalCode.INVALID_INPUT: 422,
    RefusalCode.FORBIDDEN: 403,
    RefusalCode.NOT_ELIGIBLE: 403,
    RefusalCode.STEP_UP_REQUIRED: 403,
    RefusalCode.OVERLOADED: 503,
    RefusalCode.OUTCOME_UNKNOWN: 503,
}


# What a form of the page has without anybody's doing.
_OF_THE_PAGE = frozenset({"digest", "key"})


async def show(visit: Visit) -> Response:
    """Show an approval. A comment that was typed before the session ended is there again."""
    draft = None if visit.session is None else visit.session.draft
    if draft is None or draft.path != visit.request.url.path:
        return await _page(visit, Attempt())
    if draft.fields:
        attempt = Attempt(section="decision", form=Form(draft.fields))
        return await _page(visit, attempt, kept=attempt.form.has_words(_OF_THE_PAGE))
    return await _page(visit, Attempt(), draft=draft.comment, kept=True)


async def document(visit: Visit) -> Response:
    """Show the document as JSON."""
    execution, approval = await found_approval(visit)

    def fill() -> Response:
        page = shown(visit.reader, execution, approval)
        return visit.page("document.html", approval=page)

    return await made_from([approval], fill)


async def edit(visit: Visit) -> Response:
    """Show an approval with what was typed, to change more before it is sent."""
    return await _page(visit, Attempt(section="decision", form=visit.form))


async def post(visit: Visit) -> Response:
    """Do what a form says. A refusal leads back to the page, with the reason and what was typed."""
    action = ACTIONS.get(visit.request.path_params["action"])
    if action is None:
        raise not_found(visit)
    _, approval = await found_approval(visit)
    attempt = Attempt(section=action.section, form=visit.form)
    try:
        if visit.request.path_params["action"] == "grant":
            amended = amended_payload(visit, approval)
            if amended is not None:
                return await review(visit, amended)
        command = action.command(visit, approval)
    except UnreadableAnswersError as error:
        attempt = replace(attempt, refusal=str(error), problems=error.problems)
        return await _page(visit, attempt, status=422)
    except ValueError as error:
        return await _page(visit, replace(attempt, refusal=str(error)), status=422)
    [outcome] = await send(visit, [command])
    assert isinstance(outcome, Accepted | Refused)
    if isinstance(outcome, Accepted):
        assert visit.session is not None
        await visit.site.sessions.drop_draft(visit.session)
        return see_other(f"/approvals/{approval.id}")
    if outcome.code is RefusalCode.NOT_FOUND:
        raise not_found(visit)
    attempt = replace(
        attempt,
        refusal=refusal_text(visit, outcome),
        comment_missing=outcome.code is RefusalCode.INVALID_INPUT,
    )
    if outcome.code is RefusalCode.INVALID_INPUT and outcome.message.startswith("answers"):
        refusal = visit.text("Some answers are missing or do not fit. They are marked.")
        problems = answer_problems(visit, approval.form)
        attempt = replace(attempt, refusal=refusal, comment_missing=False, problems=problems)
    return await _page(visit, attempt, status=_STATUS.get(outcome.code, 409))


async def _page(
    visit: Visit, attempt: Attempt, *, draft: str = "", kept: bool = False, status: int = 200
) -> Response:
    # Taken before the approval is read, so that the stream of the page misses no event in between.
    position = visit.services.tail.position
    execution, approval = await found_approval(visit)
    before = await earlier(visit, execution, approval)
    comments = await _comments(visit, execution, approval)
    changes = await changes_of(visit, execution, approval)
    could = await who_could_decide(visit, execution, approval)

    def fill() -> Response:
        page = shown(visit.reader, execution, approval, changes)
        if page.digest != approval.digest:
            raise PageError(
                500,
                visit.text("This approval can't be shown"),
                visit.text("What is stored is not what its digest says. Tell an administrator."),
            )
        return visit.page(
            "approval.html",
            status=status,
            approval=page,
            document=page.document,
            title=approval.title or "",
            asked_by=name_of(execution.initiator),
            execution_seen=authorization.sees_execution(visit.principal, execution),
            my_verdicts=MY_VERDICTS,
            before=None if before is None else compared(*before, execution, approval, visit.text),
            could=could,
            comments=comments,
            attempt=attempt,
            answers=_answers(visit, approval, attempt) if page.may_decide else None,
            edited=_edited(attempt, approval),
            kept=kept,
            providers=_providers(visit) if page.needs_login else [],
            typed=draft or attempt.typed("decision", "comment"),
            position=position,
        )

    compared_with = [] if before is None else [before[1]]
    return await made_from([approval, *compared_with], fill)


def _providers(visit: Visit) -> list[Issuer]:
    """Return the providers at which the reader can sign in again: theirs, if they came by one."""
    offered = visit.site.logins.offered
    assert visit.session is not None
    return [one for one in offered if one.issuer == visit.session.issuer] or offered


def _answers(visit: Visit, approval: Approval, attempt: Attempt) -> Field | None:
    """Return the fields of the approval's form, with what was typed into them."""
    if approval.form is None:
        return None
    posted = attempt.form if attempt.section == "decision" else None
    return fields_of(visit, approval.form, posted, attempt.problems)


async def _comments(visit: Visit, execution: Execution, approval: Approval) -> CommentPage:
    """Read the comments that the address asks for: the latest, or those before a version."""
    before = visit.query.number("before")
    versions = versions_of(approval, before)
    events = await visit.services.reader.versions(execution.id, versions) if versions else []
    return comment_page(approval, events, before)


def _edited(attempt: Attempt, approval: Approval) -> dict[str, str]:
    """Return what was typed into the fields of the payload, if this is the payload they show."""
    form = attempt.form
    if form.value("digest") != approval.digest:
        return {}
    return {name: value for name, value in form.pairs() if name.startswith((PREFIX, WHOLE))}
