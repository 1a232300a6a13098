"""Forms: what people are asked beside yes and no, as models, dataclasses and JSON Schemas."""

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field

from placet import (
    Approval,
    ApprovalFilter,
    ApprovalStatus,
    Engine,
    Gate,
    Run,
    require,
    requires_approval,
)
from placet._util.forms import form_of
from placet.errors import InvalidInput, KeyReused
from placet.testing import Trial, TrialFailed
from tests.sdk.engines import Made, started
from tests.sdk.people import People, Server, until

FINANCE = require(1, group="finance")
RISK: dict[str, Any] = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
}


@dataclass
class Address:
    zip: str


class Review(BaseModel):
    """What finance says."""

    cost_centre: int = Field(ge=1, title="Cost centre")
    limit: Decimal | None = None
    until: date | None = None
    address: Address | None = None


REVIEW = {"cost_centre": 17, "limit": 12.5, "until": "2026-12-24", "address": {"zip": "5611"}}
REVIEWED = Review(
    cost_centre=17, limit=Decimal("12.5"), until=date(2026, 12, 24), address=Address("5611")
)


async def reviewing(run: Run) -> str:
    clearance = await run.approval("Pay", payload={"euros": 1}, policy=FINANCE, form=Review)
    [review] = clearance.answers
    assert review == REVIEWED
    return f"{review.cost_centre} until {review.until}"


def test_a_form_is_made_of_a_model_or_a_dataclass_and_its_answers_are_read_back() -> None:
    form = form_of(Review)

    number, text, _null = form.schema["properties"]["limit"]["anyOf"]
    assert (number, text["type"]) == ({"type": "number"}, "string")
    assert form.schema["$defs"]["Address"]["required"] == ["zip"]
    assert form.read(REVIEW) == REVIEWED
    assert form_of(Address).read({"zip": "1"}) == Address("1")
    assert form_of(RISK).schema == RISK
    assert form_of(None).schema is None


@pytest.mark.parametrize(
    ("form", "error"),
    [({"default": float("nan")}, ValueError), (object(), TypeError), ([RISK], TypeError)],
)
def test_what_is_no_form_is_refused_before_anything_is_asked(
    form: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="form"):
        form_of(form)


async def test_a_trial_answers_a_form() -> None:
    async with Trial(reviewing) as trial:
        approval = await trial.approval()
        for wrong, said in (
            (None, "answers must be given"),
            ({}, "cost_centre"),
            (REVIEW | {"cost_centre": 0}, "answers/cost_centre: 0 is less than the minimum of 1"),
        ):
            with pytest.raises(InvalidInput, match=said):
                trial.grant(approval, answers=wrong)
        trial.grant(approval, answers=REVIEWED)
        assert await trial.result() == "17 until 2026-12-24"


async def test_a_trial_refuses_what_is_no_form_and_answers_without_one() -> None:
    async def asking(run: Run) -> None:
        await run.approval("Pay", payload=1, policy=FINANCE, form={"type": "text"})

    async def plain(run: Run) -> None:
        await run.approval("Pay", payload=1, policy=FINANCE)

    async with Trial(asking) as trial:
        with pytest.raises(TrialFailed, match="form is not valid JSON Schema"):
            await trial.result()
    async with Trial(plain) as trial:
        with pytest.raises(InvalidInput, match="has no form"):
            trial.grant(await trial.approval(), answers={})
        trial.grant(await trial.approval())
        await trial.result()


async def test_a_workflow_gets_answers_of_its_type_live_and_in_a_replay(
    engine: Made, people: People
) -> None:
    async def waiting(run: Run) -> str:
        clearance = await run.approval("Pay", payload=1, policy=FINANCE, key="pay", form=Review)
        # The other engine goes on after this, and reads the answers from the record.
        await run.signal("go")
        return f"{[each.cost_centre for each in clearance.answers]}"

    def having(made: Engine) -> Engine:
        made.workflow(name="review")(waiting)
        return made

    approver = await people.get("approver-a")
    async with having(engine()) as first:
        execution = await started(people, first, "review")
        [asked] = await people.pending(execution)
        with pytest.raises(InvalidInput, match="answers/cost_centre must be at least 1"):
            await approver.grant(asked, answers={"cost_centre": 0})
        await approver.grant(asked, answers=REVIEWED)
    async with having(engine()):
        await (await people.get("operator")).signal(execution, "go")
        assert (await people.ended(execution)).result == "[17]"


async def test_a_gate_and_a_decorated_function_get_the_answers(people: People) -> None:
    gate, approver = Gate(await people.get("engine")), await people.get("approver-a")
    asked: dict[str, Any] = {"title": "Pay", "payload": {"euros": 1}, "policy": FINANCE}
    name = f"pay-{uuid4()}"
    approval = await gate.ask(name, "1", **asked, form=Review)
    with pytest.raises(KeyReused):
        await gate.ask(name, "1", **asked, form=RISK)
    await approver.grant(approval, answers=REVIEW)
    clearance = await gate.clearance(approval, form=Review)
    assert clearance.answers == (REVIEWED,)
    assert (await gate.clearance(approval)).answers == (REVIEW,)

    @requires_approval(
        gate, policy=FINANCE, title="Pay {euros}", name=name, form=RISK, answers="said"
    )
    async def pay(euros: int, said: tuple[dict[str, str], ...] = ()) -> str:
        return f"{euros} {said[0]['risk']}"

    paying = asyncio.create_task(pay(2))
    where = ApprovalFilter(workflow=[name], status=[ApprovalStatus.PENDING])

    async def found() -> Approval | None:
        # The list may still have the first one, because it follows the decision a little later.
        waiting = await approver.approvals(where)
        return next((each for each in waiting if each.id != approval.id), None)

    await approver.grant(await until(found), answers={"risk": "low"})
    assert await paying == "2 low"


async def test_the_command_line_takes_answers_and_asks_for_them(
    people: People, server: Server, tmp_path: Path
) -> None:
    engine, execution = await people.get("engine"), await people.start("forms")

    async def asked(key: str, form: Any) -> str:
        found = await engine.request_approval(
            execution, key, "A trip", payload={}, policy=FINANCE, form=form
        )
        assert found.approval is not None
        return found.approval.id

    def approve(id_: str, *arguments: str, typed: str | None = None) -> str:
        command = [sys.executable, "-c", "from placet.cli import main; main()"]
        command += ["--url", server.url, "--token", server.tokens["approver-a"], "approve", id_]
        if typed is None:
            done = subprocess.run(
                [*command, *arguments],
                check=False,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
            )
            return done.stdout + done.stderr
        return in_a_terminal([*command, *arguments], typed)

    first, second = await asked("first", RISK), await asked("second", Review)
    assert "without a terminal nobody can be asked" in approve(first, "--yes")
    wrong = approve(first, "--yes", "--answers", '{"risk": "none"}')
    assert "answers/risk must be one of low, high" in wrong
    (tmp_path / "answers.json").write_text('{"risk": "low"}')
    assert "GRANTED" in approve(first, "--yes", "--answers", f"@{tmp_path / 'answers.json'}")
    # Nested objects are asked for as JSON, a choice field by field.
    assert "GRANTED" in approve(second, "--yes", typed=json.dumps(REVIEW) + "\n")
    third = await asked("third", {**RISK, "properties": {**RISK["properties"], **MORE}})
    assert "GRANTED" in approve(third, "--yes", typed="none\nlow\n3\n\nyes\n")
    history = await engine.history(execution)
    assert history is not None
    said = [each.decisions[0].answers for each in history.approvals]
    assert said == [{"risk": "low"}, REVIEW, {"risk": "low", "days": 3, "urgent": True}]


MORE = {
    "days": {"type": "integer", "title": "Days", "description": "How long it takes"},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "urgent": {"type": "boolean"},
}


def in_a_terminal(command: list[str], typed: str) -> str:
    """Run a command in a terminal that needs no pager, type, and return what it shows."""
    ours, theirs = pty.openpty()
    high = {**os.environ, "LINES": "500", "COLUMNS": "200"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=high) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        # At its end, reading from the terminal fails. Only a question too many takes so long.
        with suppress(OSError):
            while select.select([ours], [], [], 60)[0]:
                shown += os.read(ours, 4096)
        if process.poll() is None:
            process.terminate()
    os.close(ours)
    return shown.decode()
