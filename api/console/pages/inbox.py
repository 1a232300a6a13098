"""The inbox: the approvals that a person may decide, has decided or has asked for."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.responses import Response

from api.console.catalogue import N_
from api.console.forms import Form, query
from api.console.live import Message, last_seen, streamed
from api.console.views.approvals import row_of
from api.console.visit import Visit, not_found
from api.schema.approval_messages import Touched, message_about, touched_approvals
from application.subscriptions.event_tail import EventPage
from domain import authorization
from domain.approvals.state import ApprovalStatus
from domain.values import Principal
from projections.approvals.query import ApprovalFilter, ApprovalOrder

PAGE = 50


class Folder(NamedTuple):
    """A part of the inbox, with its name and what to say if it is empty. Is it ``live``?"""

    path: str
    name: str
    empty: str
    empty_advice: str
    order: ApprovalOrder
    live: bool


FOLDERS = {
    "": Folder(
        "/inbox",
        N_("To decide"),
        N_("Nothing waits for you"),
        N_("New requests appear here by themselves."),
        ApprovalOrder.DEADLINE_ASC,
        live=True,
    ),
    "waiting": Folder(
        "/inbox/waiting",
        N_("All waiting"),
        N_("Nothing waits for anybody"),
        N_("New requests appear here by themselves."),
        ApprovalOrder.DEADLINE_ASC,
        live=True,
    ),
    "decided": Folder(
        "/inbox/decided",
        N_("Decided by me"),
        N_("You have decided nothing yet"),
        N_("What you approve or reject is here from then on."),
        ApprovalOrder.REQUESTED_DESC,
        live=False,
    ),
    "asked": Folder(
        "/inbox/asked",
        N_("Asked by me"),
        N_("You have asked for nothing"),
        N_("Approvals for what you started, or what was started for you, are here."),
        ApprovalOrder.REQUESTED_DESC,
        live=False,
    ),
}


class Search(NamedTuple):
    """What the address asks for."""

    text: str | None
    workflow: str | None
    group: str | None

    @property
    def active(self) -> bool:
        """Whether it leaves anything out."""
        return any(self)

    def address(self, path: str, **more: str | int | None) -> str:
        """Return the address of a page with this search."""
        return path + query(q=self.text, workflow=self.workflow, group=self.group, **more)


async def show(visit: Visit) -> Response:
    """Show a part of the inbox."""
    name, folder = _folder(visit)
    search, after = _search(visit), visit.query.word("after")
    approvals, viewer = visit.services.approvals, visit.principal
    wanted = wanted_in(name, viewer, search)
    page = await approvals.page(
        viewer,
        wanted,
        folder.order,
        first=PAGE,
        after=after,
        # What was committed before this page was asked for is on it.
        at_least=visit.services.tail.position,
    )
    rows = [row_of(row.execution, row.approval, viewer) for row in page.rows]
    whole = not page.has_next and not page.has_previous
    count = len(rows) if whole else await approvals.count(viewer, wanted)
    return visit.page(
        "inbox.html",
        folder=folder,
        folders=_folders_of(viewer),
        rows=rows,
        whole=whole,
        count=count,
        search=search,
        here=search.address(folder.path),
        place="inbox",
        views=await visit.site.views.of(viewer.id, "inbox"),
        named=search.active or name != "",
        selectable=name in {"", "waiting"} and authorization.may_decide(viewer),
        next_page=search.address(folder.path, after=page.cursors[-1]) if page.has_next else None,
        first_page=search.address(folder.path) if page.has_previous else None,
        stream=search.address("/inbox/stream", folder=name, after=page.position)
        if folder.live and not page.has_previous
        else None,
    )


async def stream(visit: Visit) -> Response:
    """Tell a page of the inbox what is new and what is gone, as it happens."""
    name = visit.query.value("folder")
    if name not in FOLDERS:
        raise not_found(visit)
    search = _search(visit)
    selectable = authorization.may_decide(visit.principal)

    async def messages(events: EventPage, principal: Principal) -> list[Message]:
        wanted = wanted_in(name, principal, search)
        told = []
        for touched in await _touched(visit, events):
            one = await message_about(visit.context, principal, wanted, touched)
            if one is not None:
                gone = one.removed_id is not None
                change = _change(visit, touched, principal, gone=gone, selectable=selectable)
                told.append(Message("approval", change))
        return told

    return streamed(visit, last_seen(visit), messages)


def wanted_in(name: str, viewer: Principal, search: Search) -> ApprovalFilter:
    """Return the filter of a part of the inbox."""
    wanted = ApprovalFilter(
        text=search.text,
        workflows=None if search.workflow is None else (search.workflow,),
        groups=None if search.group is None else (search.group,),
    )
    match name:
        case "waiting":
            return msgspec.structs.replace(wanted, statuses=(ApprovalStatus.PENDING,))
        case "decided":
            return msgspec.structs.replace(wanted, decided_by=viewer.id)
        case "asked":
            return msgspec.structs.replace(wanted, asked_by=viewer.id)
        case _:
            return msgspec.structs.replace(wanted, decidable_by_viewer=True)


def address_of(path: str, given: Form) -> str | None:
    """Return the address of a part of the inbox with its filters alone; None if it is no part."""
    paths = {folder.path for folder in FOLDERS.values()}
    return _search_in(given).address(path) if path in paths else None


async def _touched(visit: Visit, events: EventPage) -> Sequence[Touched]:
    """Return what events are about, once for all open pages."""
    if not events.events:
        return ()
    key = (events.events[0].position, events.position, events.hash)
    return await visit.site.fanout.shared.once(
        key, lambda: touched_approvals(visit.context, events)
    )


def _change(
    visit: Visit, touched: Touched, viewer: Principal, *, gone: bool, selectable: bool
) -> dict[str, object]:
    """Return a row as it is now, made once for all who see the same."""
    execution, approval = touched.now, touched.now.approvals[touched.ordinal]
    decided = viewer.id if approval.decisions_of(viewer.id) else None
    reads = (visit.language, str(visit.formats.zone), selectable, gone)
    key = (approval.id, execution.version, decided, *reads)
    shared = visit.site.fanout.shared
    change: dict[str, object] | None = shared.get(key)
    if change is None:
        row = row_of(execution, approval, viewer)
        html = visit.fragment("inbox_row.html", row=row, selectable=selectable, gone=gone)
        change = shared.put(key, {"id": row.id, "order": row.order, "gone": gone, "html": html})
    return change


def _folder(visit: Visit) -> tuple[str, Folder]:
    name = visit.request.path_params.get("folder", "")
    folder = FOLDERS.get(name)
    if folder is None:
        raise not_found(visit)
    return name, folder


def _folders_of(viewer: Principal) -> list[Folder]:
    """Return the parts that can have something for the viewer."""
    decides, reads = authorization.may_decide(viewer), authorization.sees_events(viewer)
    names = [
        *(["", "decided"] if decides else []),
        *(["waiting"] if reads else []),
        *(["asked"] if decides or reads else []),
    ]
    return [FOLDERS[name] for name in names]


def _search(visit: Visit) -> Search:
    return _search_in(visit.query)


def _search_in(given: Form) -> Search:
    return Search(given.word("q"), given.word("workflow"), given.word("group"))
