"""A server that is connected to a stand-in for Slack, with people who are known to both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from application.command_handling.outcomes import Accepted
from application.directory import KnownPerson
from domain.directory.state import PersonSource
from domain.values import Role
from tests.api.slack.manifest import scopes
from tests.api.slack.slack_api import APP_TOKEN, BOT_TOKEN, WAIT, Message
from tests.api.slack.stand_in import SlackStandIn
from tests.api.whole_server import WholeServer
from tests.console.asking import ask
from tests.domain.people import ADAM

ADDRESS = "https://placet.example"
TWO = {"requirements": [{"groups": ["finance"], "count": 2}]}
STATE = "query ($id: ID!) { execution(id: $id) { state } }"
APPROVAL = """
query ($id: ID!) { approval(id: $id) {
    status digest decisions { verdict comment answers by { id } }
} }
"""
WRITE = "mutation ($input: {}!) {{ {}(input: $input) {{ ... on Refused {{ message }} }} }}"


class Workspace:
    """A server and a workspace."""

    def __init__(self, server: WholeServer, slack: SlackStandIn) -> None:
        self.server = server
        self.slack = slack
        self.users: dict[str, str] = {}

    async def know(
        self,
        name: str,
        *groups: str,
        email: str | None = None,
        roles: Sequence[Role] = (Role.APPROVER,),
        in_slack: bool = True,
        **user: Any,
    ) -> str:
        """Make a person known to the directory, and to Slack. Returns the id of the user there."""
        address = email or f"{name}@example.com"
        person = KnownPerson(
            id=name,
            name=name.title(),
            emails=(address,),
            groups=frozenset(groups),
            roles=frozenset(roles),
            source=PersonSource.ADMIN,
        )
        outcome = await self.server.directory.record(ADAM, person)
        assert isinstance(outcome, Accepted), outcome
        if in_slack:
            self.users[name] = self.slack.add_user(name, address, **user)
            return self.users[name]
        return ""

    async def ask(self, title: str = "Pay", payload: Any = None, **more: Any) -> dict[str, str]:
        """Ask for approval, of one person of finance by default."""
        return await ask(self.server, title, payload, **more)

    async def card(self, name: str) -> Message:
        """Wait for the first card of a person."""
        return await self.slack.card(self.users[name])

    async def asked(self, **more: Any) -> tuple[dict[str, str], Message]:
        """Know Ann of finance, ask, and return the approval with her card."""
        if "ann" not in self.users:
            await self.know("ann", "finance")
        approval = await self.ask(**more)
        return approval, await self.card("ann")

    async def approval(self, approval: dict[str, str]) -> Any:
        """Return an approval as the API shows it."""
        body = {"query": APPROVAL, "variables": {"id": approval["id"]}}
        return (await self.server.post(body)).json()["data"]["approval"]

    async def state(self, approval: dict[str, str]) -> str:
        """Return the state of the execution that asked."""
        body = {"query": STATE, "variables": {"id": approval["id"].partition(".")[0]}}
        state: str = (await self.server.post(body)).json()["data"]["execution"]["state"]
        return state

    async def grant(self, approval: dict[str, str], **more: Any) -> None:
        """Let Ann grant an approval elsewhere than in Slack."""
        given = {"approvalId": approval["id"], "digest": approval["digest"], **more}
        await self._write("grantApproval", "DecisionInput", given)

    async def comment(self, approval: dict[str, str], text: str) -> None:
        """Let Ann write a comment, elsewhere than in Slack."""
        given = {"approvalId": approval["id"], "text": text}
        await self._write("commentApproval", "CommentInput", given)

    async def delegate(self, approval: dict[str, str], to: str) -> None:
        """Let Ann hand the decision to somebody else, elsewhere than in Slack."""
        await self._write(
            "delegateApproval", "DelegationInput", {"approvalId": approval["id"], "to": to}
        )

    async def take_back(self, approval: dict[str, str]) -> None:
        """Let Ann take her decision back, elsewhere than in Slack."""
        given = {"approvalId": approval["id"]}
        await self._write("retractDecision", "RetractionInput", given)

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds that nothing tells of, and return what it returned."""
        async with asyncio.timeout(WAIT):
            while not (found := holds()):
                await asyncio.sleep(0.05)
        return found

    async def _write(self, mutation: str, kind: str, given: dict[str, Any]) -> None:
        query = WRITE.format(kind, mutation)
        body = {"query": query, "variables": {"input": given}}
        answer = (await self.server.post(body, "ann")).json()
        assert answer["data"][mutation] == {}, answer


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Workspace]:
    """Run a server on a database, and connect it to a new workspace."""
    async with SlackStandIn.running(scopes()) as slack, on(slack, url, **options) as workspace:
        yield workspace


@asynccontextmanager
async def on(slack: SlackStandIn, url: str, **options: Any) -> AsyncIterator[Workspace]:
    """Run a server on a database, and connect it to this workspace."""
    given = {
        "slack_bot_token": BOT_TOKEN,
        "slack_app_token": APP_TOKEN,
        "slack_api_url": slack.url,
        "public_url": ADDRESS,
        **options,
    }
    async with WholeServer.open(url, **given) as server:
        yield Workspace(server, slack)
