"""A gate and its people, for each test."""

import pytest

from placet import Gate
from tests.sdk.approvals.gate_desk import Desk
from tests.sdk.people import People


@pytest.fixture
async def desk(people: People) -> Desk:
    return Desk(people, Gate(await people.get("engine")))
