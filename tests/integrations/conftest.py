"""The people, and what asks them: an application of FastAPI, and graphs of LangGraph."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from placet import Gate
from placet.fastapi import Guard
from placet.langgraph import Approvals
from tests.integrations.desk import Desk
from tests.integrations.fastapi_shop import Bank, Shop, application, serving
from tests.integrations.graphs import FINANCE
from tests.sdk.conftest import people
from tests.sdk.people import People

__all__ = ["people"]


@pytest.fixture
async def shop(people: People) -> AsyncIterator[Shop]:
    bank = Bank()
    gate = Gate(await people.get("engine"))
    guard = Guard(gate, caller=lambda request: request.headers["x-user"])
    async with serving(application(bank, guard)) as client:
        yield Shop(people, client, bank)


@pytest.fixture
async def desk(people: People) -> Desk:
    return await Desk.open(people)


@pytest.fixture
def approvals(desk: Desk) -> Approvals:
    return Approvals(desk.gate, FINANCE)


@pytest.fixture
def saver() -> InMemorySaver:
    return InMemorySaver()


@pytest.fixture
def thread() -> Any:
    return {"configurable": {"thread_id": f"thread-{uuid4()}"}}


@pytest.fixture
async def postgres_saver(module_database_url: str) -> AsyncIterator[AsyncPostgresSaver]:
    async with AsyncPostgresSaver.from_conn_string(module_database_url) as saver:
        await saver.setup()
        yield saver
