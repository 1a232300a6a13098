"""The list of executions and the tree of children, as they change."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def asking(server: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    async with Asking.on(server, request.node.name) as asking:
        yield asking


async def test_the_list_shows_what_starts_and_what_changes_without_a_reload(
    open_window: Open, asking: Asking
) -> None:
    window = await open_window("operator")
    page = window.page
    address = f"/executions?workflow={asking.workflow}"
    await window.go(address)
    await expect(page.locator("#live")).to_have_class(re.compile(r"\bon\b"))
    first = await asking.operator.start(asking.workflow)
    await expect(page.locator("#count")).to_have_text("1 execution")
    await asking.operator.start(asking.workflow)
    # It would move the first one, which somebody may be about to click.
    await page.get_by_role("button", name="Show 1 new one").click()
    await expect(page.locator("#count")).to_have_text("2 executions")
    assert first.execution is not None
    row = page.locator(f'[data-id="{first.execution.id}"]')
    assert await page.locator("#rows > .row").nth(1).get_attribute("data-id") == str(
        first.execution.id
    ), "the last one started is first"
    await asking.operator.park(first.execution.id, "wait")
    await expect(row).to_contain_text("Parked")
    await window.go(f"{address}&state=RUNNING")
    await expect(page.locator("#live")).to_have_class(re.compile(r"\bon\b"))
    await asking.operator.cancel(first.execution.id, "not needed")
    await expect(row).to_contain_text("Cancelled")
    await expect(page.locator("#count")).to_have_text("1 execution")


async def test_children_and_theirs_are_a_tree_and_the_drawing_fits_a_phone(
    open_window: Open, asking: Asking
) -> None:
    started = await asking.operator.start(asking.workflow)
    assert started.execution is not None
    parent = started.execution.id
    for level in ("district", "town", "street"):
        await asking.engine.start_child(parent, level, f"{level}-survey")
        [child] = await asking.operator.children(parent)
        parent = child.execution_id
    window = await open_window("operator", viewport={"width": 390, "height": 844})
    page = window.page
    await window.go(f"/executions/{started.execution.id}")
    await expect(page.locator(".tree .tree .tree li")).to_contain_text("street-survey")
    drawing = page.locator("svg.diagram:visible")
    await expect(drawing).to_have_count(1)
    box = await drawing.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    await window.check("execution-tree")
