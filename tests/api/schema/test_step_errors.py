"""The error of a step is a text for people. The event has all that was recorded."""

import pytest

from tests.api.documents import START, STEP
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import AUDREY, ENGINE

DETAILS = '{"placet":"error","chain":[{"type":"ValueError","message":"no","line":7}]}'
STEPS = """
query ($id: ID!) { execution(id: $id) { steps(first: 1) { edges { node { error } } } } }
"""
EVENTS = """
query ($id: ID!) {
  events(filter: {executionId: $id, types: ["StepFailed"]}) { edges { node { data } } }
}
"""


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (f"ValueError: no\n{DETAILS}", "ValueError: no"),
        (f"ValueError: two\nlines\n{DETAILS}", "ValueError: two\nlines"),
        ("two\nlines", "two\nlines"),
        (DETAILS, DETAILS),
        (f"ValueError: {DETAILS}", f"ValueError: {DETAILS}"),
    ],
)
async def test_the_details_for_programs_are_in_the_event_alone(
    client: GraphQLClient, recorded: str, shown: str
) -> None:
    started = await client.ask(START, ENGINE, input={"workflow": "travel"})
    id_ = started["execution"]["id"]
    failed = {"executionId": id_, "key": "book", "name": "book", "error": recorded}
    await client.ask(STEP, ENGINE, input=failed)
    execution = await client.ask(STEPS, AUDREY, id=id_)
    assert execution["steps"]["edges"][0]["node"]["error"] == shown
    events = await client.ask(EVENTS, AUDREY, id=id_)
    assert events["edges"][0]["node"]["data"]["error"] == recorded
