"""Decisions for auditors: by person, group, rule and workflow, with the time each one took."""

from datetime import datetime
from typing import NamedTuple

from starlette.responses import Response

from api.console.csv_file import Row, download
from api.console.forms import query
from api.console.pages.audit.search import DECISIONS, PAGE, PARTS, check_viewer, moment
from api.console.views.audit import DECISION_COLUMNS, decision_cells, decision_row
from api.console.views.decision_summary import BY, summary
from api.console.views.wording import VERDICT_NAMES
from api.console.visit import Visit
from domain.approvals.state import Verdict
from projections.decisions.query import DecisionFilter

IN_A_FILE = 500
SUMMED_UP = 2_000
"""Decisions at most that the summary is about, the latest. More would make the page slow."""


class Search(NamedTuple):
    """What the address asks for."""

    person: str | None
    group: str | None
    rule: str | None
    workflow: str | None
    verdict: Verdict | None
    since: datetime | None
    until: datetime | None
    typed: tuple[str, str]
    by: str

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return any(self[:-2])

    def address(self, path: str = DECISIONS, **more: str | int | None) -> str:
        """Return the address of a page with this search."""
        since, until = self.typed
        return path + query(
            person=self.person,
            group=self.group,
            rule=self.rule,
            workflow=self.workflow,
            verdict=None if self.verdict is None else self.verdict.value,
            since=since,
            until=until,
            by=None if self.by == _FIRST else self.by,
            **more,
        )

    def but(self, **other: str) -> str:
        """Return the address of the same search with something else in it."""
        return self._replace(**other).address()  # type: ignore[arg-type]

    def filter(self) -> DecisionFilter:
        """Return the filter of the read model."""

        def one(value: str | None) -> tuple[str, ...] | None:
            return None if value is None else (value,)

        return DecisionFilter(
            people=one(self.person),
            groups=one(self.group),
            rules=one(self.rule),
            workflows=one(self.workflow),
            verdicts=None if self.verdict is None else (self.verdict,),
            since=self.since,
            until=self.until,
        )


_FIRST = next(iter(BY))


async def show(visit: Visit) -> Response:
    """Show a page of decisions, the latest first."""
    check_viewer(visit)
    search, model, viewer = _search(visit), visit.services.decisions, visit.principal
    page = await model.page(
        viewer,
        search.filter(),
        first=PAGE,
        after=visit.query.word("after"),
        at_least=visit.services.tail.position,
    )
    whole = not page.has_next and not page.has_previous
    summed, all_summed = page.rows, True
    if page.has_previous:
        # It is about everything that matches, so it stands on the first page only.
        summed = []
    elif not whole:
        summed, all_summed = await model.latest(viewer, search.filter(), most=SUMMED_UP)
    return visit.page(
        "audit/decisions.html",
        parts_of_audit=PARTS,
        part=DECISIONS,
        search=search,
        verdicts=VERDICT_NAMES,
        summary=summary(summed, search.by),
        summed=None if all_summed else len(summed),
        summed_by=BY,
        rows=[decision_row(each) for each in page.rows],
        count=len(page.rows) if whole else await model.count(viewer, search.filter()),
        next_page=search.address(after=page.cursors[-1]) if page.has_next else None,
        first_page=search.address() if page.has_previous else None,
        file=search.address(f"{DECISIONS}.csv"),
    )


async def file(visit: Visit) -> Response:
    """Send all decisions that match."""
    check_viewer(visit)
    wanted = _search(visit).filter()

    async def rows(after: str | None) -> tuple[list[Row], str | None]:
        page = await visit.services.decisions.page(
            visit.principal, wanted, first=IN_A_FILE, after=after
        )
        return [decision_cells(each) for each in page.rows], (
            page.cursors[-1] if page.has_next else None
        )

    return download(visit, "placet-decisions", DECISION_COLUMNS, rows)


def _search(visit: Visit) -> Search:
    given = visit.query
    verdict = given.value("verdict")
    return Search(
        person=given.word("person"),
        group=given.word("group"),
        rule=given.word("rule"),
        workflow=given.word("workflow"),
        verdict=Verdict(verdict) if verdict in set(Verdict) else None,
        since=moment(visit, "since"),
        until=moment(visit, "until"),
        typed=(given.value("since").strip(), given.value("until").strip()),
        by=by if (by := given.value("by")) in BY else _FIRST,
    )
