"""Substitutes: who decides in whose absence, with the forms that name one and end it."""

from datetime import UTC, date, datetime, time, timedelta

from starlette.responses import Response

from api.console.forms import query
from api.console.responses import see_other
from api.console.visit import Visit, not_allowed
from api.schema.substitutes import (
    SubstituteResult,
    end_substitute,
    set_substitute,
    substitutes_page,
)
from domain.directory.commands import MAX_ABSENCE, EndSubstitute, SetSubstitute
from domain.directory.decide import may_substitute
from domain.refusals import RefusalCode
from domain.values import Role

PATH = "/substitutes"
PAGE = 50
FIELDS = ("substitute", "person", "groups", "since", "until", "comment")
_STATUS = {RefusalCode.FORBIDDEN: 403, RefusalCode.NOT_FOUND: 404, RefusalCode.INVALID_INPUT: 422}


async def show(visit: Visit) -> Response:
    """List the viewer's substitutes and those whose substitute they are; or everybody's."""
    _check(visit)
    return await _page(visit)


async def name(visit: Visit) -> Response:
    """Name a substitute. A second click finds the first one."""
    _check(visit)
    typed = {field: visit.form.value(field) for field in FIELDS}
    try:
        command = _command(visit, typed)
    except ValueError as error:
        return await _page(visit, typed, refusal=str(error), status=422)
    result = await set_substitute(visit.context, command)
    if result.code is not None:
        return await _refused(visit, result, typed)
    if result.warnings:
        return await _page(visit, warnings=result.warnings)
    return see_other(PATH)


async def end(visit: Visit) -> Response:
    """End a substitution before its time. Again, it changes nothing."""
    _check(visit)
    person, number = visit.form.value("of"), visit.form.number("number")
    command = EndSubstitute(by=visit.principal, person=person, number=number or 0)
    result = await end_substitute(visit.context, command)
    return see_other(PATH) if result.code is None else await _refused(visit, result)


async def _refused(
    visit: Visit, result: SubstituteResult, typed: dict[str, str] | None = None
) -> Response:
    assert result.code is not None
    status = _STATUS.get(RefusalCode(result.code.value), 409)
    return await _page(visit, typed, refusal=result.message or "", status=status)


async def _page(
    visit: Visit,
    typed: dict[str, str] | None = None,
    *,
    refusal: str = "",
    warnings: list[str] | None = None,
    status: int = 200,
) -> Response:
    after = visit.query.word("after")
    page = await substitutes_page(visit.context, None, PAGE, after)
    today = visit.formats.now.astimezone(visit.formats.zone).date()
    rows = [edge.node for edge in page.edges]
    return visit.page(
        "substitutes.html",
        status=status,
        rows=rows,
        may_end=[may_substitute(visit.principal, row.person.id) for row in rows],
        next_page=PATH + query(after=page.page_info.end_cursor)
        if page.page_info.has_next_page
        else None,
        first_page=PATH if after else None,
        typed=typed or dict.fromkeys(FIELDS, ""),
        refusal=refusal,
        warnings=warnings or [],
        earliest=today.isoformat(),
        latest=(today + MAX_ABSENCE - timedelta(days=1)).isoformat(),
    )


def _command(visit: Visit, typed: dict[str, str]) -> SetSubstitute:
    groups = [one for each in typed["groups"].split(",") if (one := each.strip())]
    since = typed["since"].strip()
    return SetSubstitute(
        by=visit.principal,
        person=typed["person"].strip() or visit.principal.id,
        substitute=typed["substitute"].strip(),
        groups=frozenset(groups) if groups else None,
        starts_at=_moment(visit, since, time.min) if since else None,
        ends_at=_moment(visit, typed["until"].strip(), time.max),
        comment=typed["comment"].replace("\r\n", "\n").strip(),
    )


def _moment(visit: Visit, text: str, at: time) -> datetime:
    """Return the beginning or the end of a day in the reader's zone. Raises ValueError."""
    try:
        return datetime.combine(date.fromisoformat(text), at, visit.formats.zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(visit.text("Say which day, such as 2026-12-31.")) from error


def _check(visit: Visit) -> None:
    if Role.ENGINE in visit.principal.roles or not visit.principal.roles:
        raise not_allowed(visit)
