"""What was waiting for whom at a moment."""

from datetime import datetime
from typing import NamedTuple

from starlette.responses import Response

from api.console.csv_file import Row, download
from api.console.forms import query
from api.console.pages.audit.search import PAGE, PARTS, WAITING, check_viewer, moment
from api.console.views.audit import WAITING_COLUMNS, waiting_cells, waiting_row
from api.console.visit import Visit
from projections.approvals.past_query import MOST
from projections.approvals.query import ApprovalFilter


class Search(NamedTuple):
    """What the address asks for. Without a moment it is now."""

    text: str | None
    workflow: str | None
    group: str | None
    at: datetime | None
    typed: str

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.text or self.workflow or self.group)

    def address(self, path: str = WAITING, **more: str | int | None) -> str:
        """Return the address of a page with this search."""
        return path + query(
            at=self.typed, q=self.text, workflow=self.workflow, group=self.group, **more
        )

    def filter(self) -> ApprovalFilter:
        """Return the filter of the read model."""
        return ApprovalFilter(
            text=self.text,
            workflows=None if self.workflow is None else (self.workflow,),
            groups=None if self.group is None else (self.group,),
        )


async def show(visit: Visit) -> Response:
    """Show a page of what was pending then, the longest first."""
    check_viewer(visit)
    search, model, viewer = _search(visit), visit.services.past_approvals, visit.principal
    at = search.at or visit.formats.now
    page = await model.page(
        viewer,
        search.filter(),
        as_of=at,
        first=PAGE,
        after=visit.query.word("after"),
        at_least=visit.services.tail.position,
    )
    whole = not page.has_next and not page.has_previous
    return visit.page(
        "audit/waiting.html",
        parts_of_audit=PARTS,
        part=WAITING,
        search=search,
        at=at,
        rows=[waiting_row(row, at, visit.text, visit.plural) for row in page.rows],
        count=len(page.rows) if whole else await model.count(viewer, search.filter(), as_of=at),
        next_page=search.address(after=page.cursors[-1]) if page.has_next else None,
        first_page=search.address() if page.has_previous else None,
        file=search._replace(typed=at.isoformat()).address(f"{WAITING}.csv"),
    )


async def file(visit: Visit) -> Response:
    """Send all that was pending then."""
    check_viewer(visit)
    search = _search(visit)
    at = search.at or visit.formats.now

    async def rows(after: str | None) -> tuple[list[Row], str | None]:
        page = await visit.services.past_approvals.page(
            visit.principal, search.filter(), as_of=at, first=MOST, after=after
        )
        cells: list[Row] = [
            waiting_cells(waiting_row(row, at, visit.text, visit.plural)) for row in page.rows
        ]
        return cells, page.cursors[-1] if page.has_next else None

    return download(visit, "placet-waiting", WAITING_COLUMNS, rows)


def _search(visit: Visit) -> Search:
    given = visit.query
    return Search(
        text=given.word("q"),
        workflow=given.word("workflow"),
        group=given.word("group"),
        at=moment(visit, "at"),
        typed=given.value("at").strip(),
    )
