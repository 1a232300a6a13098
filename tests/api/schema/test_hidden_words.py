"""A search finds nothing in what the viewer may not see."""

from domain.values import Label
from projections.approvals.query import ApprovalFilter
from tests.api.schema_server import Desk
from tests.domain.people import ANN, OLIVIA

SEARCH = """query ($text: String, $least: String) {
    approvals(filter: {text: $text}, atLeast: $least) { totalCount edges { node { title } } } }"""


async def test_an_approver_can_not_find_out_the_labels_of_an_execution(desk: Desk) -> None:
    execution = await desk.office.start(labels=(Label(name="salary", value="secretword"),))
    asked = await desk.office.ask(execution.id, title="Raise")
    least = str(desk.office.tail.position)
    for by in (ANN, OLIVIA):
        for word in ("salary", "secretword"):
            page = await desk.ask(SEARCH, by, text=word, least=least)
            assert page["totalCount"] == 0
        page = await desk.ask(SEARCH, by, text="raise travel", least=least)
        assert [edge["node"]["title"] for edge in page["edges"]] == [asked.title]
        wanted = desk.services.approvals
        state = await desk.services.reader.execution(execution.id)
        assert state is not None
        for word, matches in (("secretword", False), ("raise", True)):
            text = ApprovalFilter(text=word)
            assert await wanted.matches(by, text, state, state.approvals[1]) is matches
