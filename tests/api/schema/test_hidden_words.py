"""A search finds nothing in what the viewer may not see."""

from domain.values import Label
from projections.approvals.query import ApprovalFilter
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import ANN, OLIVIA

SEARCH = """query ($text: String, $least: String) {
    approvals(filter: {text: $text}, atLeast: $least) { totalCount edges { node { title } } } }"""


async def test_an_approver_can_not_find_out_the_labels_of_an_execution(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start(labels=(Label(name="salary", value="secretword"),))
    asked = await client.process.ask(execution.id, title="Raise")
    least = str(client.process.tail.position)
    for by in (ANN, OLIVIA):
        for word in ("salary", "secretword"):
            page = await client.ask(SEARCH, by, text=word, least=least)
            assert page["totalCount"] == 0
        page = await client.ask(SEARCH, by, text="raise travel", least=least)
        assert [whole_server["node"]["title"] for whole_server in page["edges"]] == [asked.title]
        wanted = client.services.approvals
        state = await client.services.reader.execution(execution.id)
        assert state is not None
        for word, matches in (("secretword", False), ("raise", True)):
            text = ApprovalFilter(text=word)
            assert await wanted.matches(by, text, state, state.approvals[1]) is matches
