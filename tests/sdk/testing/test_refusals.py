"""A trial refuses what the service refuses, with the same words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from placet import ChildFailed, Clearance, Run, require
from placet.errors import InvalidInput
from placet.policy import Policy
from placet.testing import Trial, TrialFailed
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")

Workflow = Any


async def large_result(run: Run) -> None:
    await run.step(lambda: "x" * 300_000, name="large")


async def barred_result(run: Run) -> None:
    await run.step(lambda: {"a": ["\uffff"]}, name="barred")


async def large_number(run: Run) -> None:
    await run.step(lambda: 2**60, name="number")


async def deep_result(run: Run) -> None:
    value: Any = 0
    for _ in range(150):
        value = [value]
    await run.step(lambda: value, name="deep")


async def long_title(run: Run) -> None:
    await run.approval("x" * 501, payload=1, policy=FINANCE)


async def blank_title(run: Run) -> None:
    await run.approval(" ", payload=1, policy=FINANCE)


async def barred_title(run: Run) -> None:
    await run.approval("a\ufdd0", payload=1, policy=FINANCE)


async def long_description(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=FINANCE, description="x" * 10_001)


async def nul_description(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=FINANCE, description="\x00")


async def barred_payload(run: Run) -> None:
    await run.approval("Trip", payload={"\uffff": 1}, policy=FINANCE)


async def nobody(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=Policy(requirements=()))


async def unnamed(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=require(1, group="a\nb"))


async def too_many(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=require(201, group="finance"))


async def no_rejections(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=FINANCE.rejections(0))


ADA = require(1, user="ada")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICIES = {
    "of nobody": Policy(requirements=()),
    "one user twice": ADA & ADA,
    "more people than are named": require(3, users=["ada", "bob"]) & FINANCE,
    "more rejections than people": ADA.rejections(2),
    "a stage that is skipped": require(1, group="finance", stage=2),
    "a reminder as long as the time": FINANCE.expires(HOUR, remind_before=[HOUR]),
    "reminders without a deadline": FINANCE.expires(remind_before=[HOUR]),
    "an action without a deadline": FINANCE.expires(on_expiry="GRANT"),
    "no time": FINANCE.expires(timedelta(0)),
    "no time to use it": FINANCE.lapses(timedelta(0)),
    "more reminders than can be": FINANCE.expires(
        DAY, remind_before=[HOUR + timedelta(minutes=n) for n in range(11)]
    ),
    "a calendar of nothing": require(1, group="finance", calendar="office"),
    "a group that is no name": FINANCE.expires(DAY, on_expiry="ESCALATE", escalate_to=["a\nb"]),
    "a login with a blank": FINANCE.step_up("a b"),
    "a grant by nobody with a comment": FINANCE.expires(DAY, on_expiry="GRANT").require_comment(),
    "a grant by nobody with a login": FINANCE.expires(DAY, on_expiry="GRANT").step_up("phr"),
}


async def bad_policies(run: Run) -> None:
    said = []
    for name, policy in POLICIES.items():
        try:
            await run.approval("Trip", payload=1, policy=policy, key=name)
        except InvalidInput as error:
            said.append(error.message)
    raise ValueError("\n".join(said))


async def past_deadline(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=FINANCE, deadline=datetime(2020, 1, 1, tzinfo=UTC))


async def long_sleep(run: Run) -> None:
    await run.sleep(timedelta(days=40_000))


async def barred_child(run: Run) -> None:
    await run.child("lodging", "\uffff")


async def large_end(_: Run) -> str:
    return "x" * 300_000


async def barred_end(_: Run) -> str:
    return "\U0001ffff"


WORKFLOWS = (
    large_result, barred_result, large_number, deep_result, long_title, blank_title, barred_title,
    long_description, nul_description, barred_payload, nobody, unnamed, too_many, no_rejections,
    bad_policies, past_deadline, long_sleep, barred_child, large_end, barred_end,
)  # fmt: skip


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda each: each.__name__)
async def test_a_workflow_fails_in_a_trial_as_it_fails_in_production(
    people: People, engine: Made, workflow: Workflow
) -> None:
    only = engine()
    only.workflow(workflow)
    async with only:
        ended = await people.ended(await started(people, only, workflow.__name__))
    trial = Trial(workflow, children={"lodging": lambda _: None})
    await trial.__aenter__()
    with pytest.raises(TrialFailed) as failed:
        await trial.result()
    await trial.__aexit__(TrialFailed, failed.value, None)
    assert str(failed.value) == ended.error


async def nothing(run: Run) -> None:
    await run.approval("Trip", payload=1, policy=FINANCE)


@pytest.mark.parametrize("given", ["\uffff", 2**60, "x" * 300_000])
async def test_an_input_that_the_service_refuses_starts_no_trial(given: Any) -> None:
    async def workflow(run: Run, given: Any) -> None:
        raise NotImplementedError

    with pytest.raises(InvalidInput, match="input"):
        Trial(workflow, given)


async def test_signals_and_comments_that_the_service_refuses_are_refused() -> None:
    async with Trial(nothing) as trial:
        approval = await trial.approval()
        with pytest.raises(InvalidInput, match="name holds a character that can't be printed"):
            trial.signal("a\nb")
        with pytest.raises(InvalidInput, match=r"payload holds U\+FFFF"):
            trial.signal("go", "\uffff")
        with pytest.raises(InvalidInput, match="comment has 10001 characters"):
            trial.grant(approval, comment="x" * 10_001)
        with pytest.raises(InvalidInput, match="comment must not be empty"):
            trial.reject(approval, comment=" ")
        trial.grant(approval)
        await trial.result()


async def test_a_child_whose_result_can_not_be_recorded_has_failed() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(ChildFailed) as failed:
            await run.child("lodging")
        return str(failed.value)

    async with Trial(workflow, children={"lodging": lambda _: "\uffff"}) as trial:
        assert "the workflow's result can't be recorded" in await trial.result()


def test_the_errors_of_tests_are_exported() -> None:
    assert issubclass(TrialFailed, Exception)
    assert issubclass(ChildFailed, Exception)
    assert Clearance.__name__ == "Clearance"
