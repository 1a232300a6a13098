"""Asks people for approval, as workflows do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import placet
from bench.stack import Stack
from tests.api.whole_server import START, WholeServer

REQUEST = """
mutation ($input: RequestApprovalInput!) {
  requestApproval(input: $input) {
    ... on Refused { code message }
    approval { id digest }
  }
}
"""
FINANCE = {"requirements": [{"groups": ["finance"]}]}


class Asking:
    """Asks on a running server. ``workflow`` is one that no other test uses."""

    def __init__(
        self, server: Stack, operator: placet.Client, engine: placet.Client, workflow: str
    ) -> None:
        self.url = server.url
        self.tokens = server.tokens
        self.operator = operator
        self.engine = engine
        self.workflow = workflow

    @classmethod
    @asynccontextmanager
    async def on(cls, server: Stack, workflow: str) -> AsyncIterator["Asking"]:
        async with (
            placet.Client(server.url, server.tokens["operator"]) as operator,
            placet.Client(server.url, server.tokens["engine"]) as engine,
        ):
            yield cls(server, operator, engine, workflow)

    async def ask(
        self,
        title: str,
        payload: Any = None,
        *,
        policy: placet.Policy | None = None,
        key: str = "pay",
        description: str | None = None,
        form: Any = None,
    ) -> placet.Approval:
        """Start an execution for an employee, and ask for approval."""
        started = await self.operator.start(self.workflow, on_behalf_of="employee")
        assert started.execution is not None
        asked = await self.engine.request_approval(
            started.execution.id,
            key,
            title,
            payload={"euros": 120} if payload is None else payload,
            policy=policy or placet.require(1, group="finance"),
            description=description,
            form=form,
        )
        assert asked.approval is not None
        # Pages and lists show it from here on.
        await self.operator.approvals(first=0, at_least=asked.position)
        return asked.approval

    async def ask_all(self, *titles: str) -> list[placet.Approval]:
        """Ask one after the other."""
        return [await self.ask(title, {"title": title}) for title in titles]


async def ask(
    server: WholeServer, title: str = "Pay", payload: Any = None, by: str | None = None, **more: Any
) -> dict[str, str]:
    """Ask for approval on a server in this process. Returns the id and digest of the approval.

    ``by``: the token of whoever starts and asks; by default that of an operator and of an engine.
    """
    given = {"workflow": "payment", **more.pop("started", {})}
    body = {"query": START, "variables": {"input": given}}
    started = (await server.post(body, by or "olivia")).json()
    asked = {
        "executionId": started["data"]["startExecution"]["execution"]["id"],
        "key": "pay",
        "title": title,
        "payload": {"euros": 120} if payload is None else payload,
        "policy": FINANCE,
        **more,
    }
    body = {"query": REQUEST, "variables": {"input": asked}}
    answer = (await server.post(body, by or "engine")).json()
    approval: dict[str, str] = answer["data"]["requestApproval"]["approval"]
    assert approval, answer
    return approval
