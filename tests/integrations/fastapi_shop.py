"""An application with guarded endpoints, its client and the people who decide."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

import httpx
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp

from placet import Approval, ExecutionState, require
from placet.fastapi import ApprovalMiddleware, Guard, Guarded
from tests.sdk.people import People

FINANCE = require(1, group="finance")


class Payment(BaseModel):
    euros: int
    to: str


class Receipt(BaseModel):
    number: int
    paid: Payment


class Bank:
    """What the endpoints call; ``does`` may be replaced."""

    def __init__(self) -> None:
        self.payments: list[Payment] = []
        self.does: Callable[[Payment], Any] = lambda _payment: None

    async def pay(self, payment: Payment) -> Receipt:
        self.payments.append(payment)
        answer = self.does(payment)
        if asyncio.iscoroutine(answer):
            await answer
        return Receipt(number=len(self.payments), paid=payment)


def application(bank: Bank, guard: Guard) -> FastAPI:
    app = FastAPI()
    app.add_middleware(ApprovalMiddleware)

    @app.post("/accounts/{account}/payments", status_code=201)
    async def pay(
        account: str, payment: Payment, guarded: Annotated[Guarded, Depends(guard)]
    ) -> Receipt:
        await guarded.cleared(
            {"account": account, "payment": payment},
            title=f"Pay {payment.euros} to {payment.to}",
            policy=FINANCE,
        )
        return await bank.pay(payment)

    return app


class Shop:
    """An application, its client, and the people."""

    def __init__(self, people: People, client: httpx.AsyncClient, bank: Bank) -> None:
        self.people = people
        self.client = client
        self.bank = bank
        self.key = f'"{uuid4()}"'

    async def pay(
        self, euros: int = 120, *, key: str | None = None, user: str = "ada"
    ) -> httpx.Response:
        return await self.client.post(
            "/accounts/7/payments",
            json={"euros": euros, "to": "Ada"},
            headers={"idempotency-key": key or self.key, "x-user": user},
        )

    async def asked(self, response: httpx.Response) -> Approval:
        assert response.status_code == 202, response.text
        approver = await self.people.get("approver-a")
        approval = await approver.approval(response.json()["approval"])
        assert approval is not None
        return approval

    async def granted(self) -> Approval:
        """Ask for a payment and have it granted."""
        approval = await self.asked(await self.pay())
        await (await self.people.get("approver-a")).grant(approval)
        return approval

    async def state(self, approval: Approval) -> ExecutionState:
        execution = await (await self.people.get("operator")).execution(approval.execution_id)
        assert execution is not None
        return execution.state


async def granted_by(people: People, asked: httpx.Response) -> None:
    """Have the approval of an answer 202 granted."""
    approver = await people.get("approver-a")
    approval = await approver.approval(asked.json()["approval"])
    assert approval is not None
    await approver.grant(approval)


def acting(act: Any, path: str = "/") -> Starlette:
    """Give an application with one endpoint, and the middleware."""
    return Starlette(
        routes=[Route(path, act, methods=["POST"])], middleware=[Middleware(ApprovalMiddleware)]
    )


def serving(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://bank")
