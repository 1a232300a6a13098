"""The commands about approvals: decide, request changes, take back and comment."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from placet.cli import amending
from placet.cli.access import anywhere, run
from placet.cli.details import approval_lines, delegation_lines
from placet.cli.forms import asked_answers, given_answers
from placet.cli.lists import missing
from placet.cli.lookup import FullApproval, Id, existing_approval, full_approval
from placet.cli.terminal import line, safe, show_all
from placet.client.client import Client
from placet.errors import Refused
from placet.models.responses import Accepted, Approval

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Ids = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids, or any unique beginnings of them.")
]


@anywhere
def approve(
    context: typer.Context,
    ids: Ids,
    comment: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    answers: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help="The answers to its form. Without them they are asked for."
        ),
    ] = None,
    amend: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help="Grant this payload instead, if the policy is amendable."
        ),
    ] = None,
    *,
    yes: Yes = False,
) -> None:
    """Grant approvals, after one question about all of them.

    An approval with a form is granted by itself, with its answers.
    """
    given = None if answers is None else given_answers(answers)
    if amend is not None:
        _amend(context, ids, comment, amending.payload_of(amend), given, yes=yes)
        return
    shown = _shown(context, ids, "Grant", yes=yes)
    if len(shown) == 1:
        [one] = shown
        said = asked_answers(one.form) if one.form is not None and answers is None else given
        _report(run(context, lambda client: client.grant(one, comment=comment, answers=said)))
    elif answers is not None:
        raise typer.BadParameter("for one approval at a time", param_hint="--answers")
    else:
        _report_all(shown, run(context, lambda client: client.grant_many(shown, comment=comment)))


def _amend(
    context: typer.Context,
    ids: Sequence[str],
    comment: str | None,
    payload: Any,
    answers: Any,
    *,
    yes: bool,
) -> None:
    """Grant one approval with this payload, after its change was shown."""
    if len(ids) > 1:
        raise typer.BadParameter("it is for one approval at a time", param_hint=amending.OPTION)
    [shown] = _shown(context, ids, "Grant, with this change,", yes=yes, amended=payload)

    if shown.form is not None and answers is None:
        answers = asked_answers(shown.form)

    async def grant(client: Client) -> Accepted:
        return await client.grant(shown, comment=comment, answers=answers, amended_payload=payload)

    _report(run(context, grant))


@anywhere
def reject(
    context: typer.Context,
    ids: Ids,
    comment: Annotated[str, typer.Option(help="Why, for the record.")],
    *,
    yes: Yes = False,
) -> None:
    """Reject approvals, after one question about all of them."""
    shown = _shown(context, ids, "Reject", yes=yes)
    if len(shown) == 1:
        _report(run(context, lambda client: client.reject(shown[0], comment=comment)))
    else:
        _report_all(shown, run(context, lambda client: client.reject_many(shown, comment=comment)))


@anywhere
def request_changes(
    context: typer.Context,
    id_: Id,
    comment: Annotated[str, typer.Option(help="What should change.")],
    *,
    yes: Yes = False,
) -> None:
    """Request changes of what is asked."""
    [shown] = _shown(context, [id_], "Request changes of", yes=yes)
    _report(run(context, lambda client: client.request_changes(shown, comment=comment)))


@anywhere
def comment(
    context: typer.Context,
    id_: Id,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
) -> None:
    """Comment on an approval, whatever its status."""

    async def say(client: Client) -> Accepted:
        return await client.comment(await existing_approval(client, id_), text)

    run(context, say)
    line("commented")


@anywhere
def retract(
    context: typer.Context,
    id_: Id,
    comment: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
) -> None:
    """Take back your decision, while the approval is pending."""

    async def take_back(client: Client) -> Accepted:
        return await client.retract(await existing_approval(client, id_), comment=comment)

    accepted = run(context, take_back)
    again = " (it was already)" if accepted.repeated else ""
    line(f"taken back{again}; you can decide anew")


@anywhere
def delegate(
    context: typer.Context,
    id_: Id,
    to: Annotated[
        str | None, typer.Argument(metavar="[PERSON]", help="Who decides; none: list them.")
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    *,
    take_back: Annotated[bool, typer.Option("--take-back", help="Take it back.")] = False,
) -> None:
    """Hand your decision to somebody else, take that back, or list who handed it to whom."""
    if take_back and to is not None:
        raise typer.BadParameter("needs no person", param_hint="--take-back")

    async def hand_over(client: Client) -> tuple[Approval, Accepted | None]:
        approval = await existing_approval(client, id_)
        if take_back:
            return approval, await client.take_back_delegation(approval)
        if to is not None:
            return approval, await client.delegate(approval, to, comment=comment)
        return approval, None

    approval, accepted = run(context, hand_over)
    if accepted is None:
        show_all(list(delegation_lines(approval.delegations)))
        return
    again = " (it was already)" if accepted.repeated else ""
    line(f"taken back{again}; you can decide" if take_back else f"{to} decides now{again}")


@anywhere
def claim(context: typer.Context, id_: Id) -> None:
    """Say that you are on it. It binds nobody and ends after an hour."""

    async def say(client: Client) -> Accepted:
        return await client.claim_approval(await existing_approval(client, id_))

    run(context, say)
    line("claimed for an hour")


@anywhere
def unclaim(context: typer.Context, id_: Id) -> None:
    """Say that you are not on it any more."""

    async def say(client: Client) -> Accepted:
        return await client.unclaim_approval(await existing_approval(client, id_))

    run(context, say)
    line("not claimed any more")


@anywhere
def revoke(
    context: typer.Context,
    id_: Id,
    reason: Annotated[str, typer.Option(help="Why. It is recorded.")],
) -> None:
    """Take back a grant that was not used."""

    async def take_back(client: Client) -> Accepted:
        return await client.revoke(await existing_approval(client, id_), reason=reason)

    accepted = run(context, take_back)
    line(f"revoked{' (it was already)' if accepted.repeated else ''}")


def _shown(
    context: typer.Context, ids: Sequence[str], question: str, *, yes: bool, amended: Any = None
) -> list[Approval]:
    """Print the approvals and ask once. The decisions are about what was printed.

    ``amended``: the payload that is granted instead of that of the one approval.
    """

    async def find(client: Client) -> list[FullApproval]:
        found: dict[str, FullApproval] = {}
        for typed in ids:
            approval = await existing_approval(client, typed)
            if approval.id not in found:
                found[approval.id] = await full_approval(client, approval)
        return list(found.values())

    found = run(context, find)
    approvals = [each.approval for each in found]
    change = [] if amended is None else list(amending.change_lines(approvals[0], amended))
    _print(found, change)
    check_can_ask(yes=yes)
    if not yes:
        # The titles again: what was printed may have left the screen.
        titles = [safe(each.title or "(erased)") for each in approvals]
        if len(titles) == 1:
            typer.confirm(f"{question} '{titles[0]}'?", abort=True)
        else:
            typer.echo("")
            for title in titles:
                typer.echo(f"  {title}")
            typer.confirm(f"{question} these {len(titles)}?", abort=True)
    return approvals


def check_can_ask(*, yes: bool) -> None:
    """Raise typer.BadParameter if a person is to be asked and nobody is there."""
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter(
            "needed without a terminal, where nobody can be asked", param_hint="--yes"
        )


def _print(found: Sequence[FullApproval], change: Sequence[str]) -> None:
    lines: list[str] = []
    for number, each in enumerate(found, 1):
        if len(found) > 1:
            lines += ["", f"{number} of {len(found)}"]
        lines += approval_lines(*each)
    show_all([*lines, *change])


def _report(accepted: Accepted) -> None:
    if accepted.approval is not None:
        line(_outcome(accepted, accepted.approval))


def _report_all(approvals: Sequence[Approval], results: Sequence[Accepted | Refused]) -> None:
    """Print a result for each. Exit code 1 if any was refused."""
    refused = 0
    for approval, result in zip(approvals, results, strict=True):
        if isinstance(result, Refused):
            refused += 1
            said = f"refused: {result}"
        else:
            said = _outcome(result, result.approval or approval)
        line(f"{approval.title or '(erased)'}: {said}")
    line(f"{len(results) - refused} of {len(results)} decided")
    if refused:
        raise typer.Exit(1)


def _outcome(accepted: Accepted, approval: Approval) -> str:
    repeated = " (you had already decided that)" if accepted.repeated else ""
    needed = missing(approval.outstanding)
    still = f", still needed: {needed}" if approval.resolved_at is None and needed else ""
    return f"{approval.status}{repeated}{still}"
