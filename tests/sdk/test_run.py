"""What a workflow may do with its run, with a plain function in the place of the service."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from placet import StepFailed, errors, require
from placet.commands import Command, RecordStep
from placet.engine.approvals import Approvals
from placet.engine.clearance import Clearance
from placet.engine.hold import Hold
from placet.engine.replay import Replay
from placet.engine.run import Run
from placet.enums import ExecutionState
from placet.model import Accepted, Actor, Execution, ExecutionHead, Step

NOW = datetime(2026, 1, 2, tzinfo=UTC)
EXECUTION = Execution(
    id="x",
    workflow="w",
    queue="default",
    state=ExecutionState.RUNNING,
    version=2,
    fence=1,
    labels=[],
    initiator=Actor(id="ada"),
    started_at=NOW,
    updated_at=NOW,
    input={"a": 1},
)


class Service:
    """Accepts everything, or refuses everything with one error."""

    def __init__(self, error: errors.PlacetError | None = None) -> None:
        self.error = error
        self.commands: list[Command] = []

    async def submit(self, command: Command) -> Accepted:
        self.commands.append(command)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Accepted(position="1", repeated=False)

    def run(self, replay: Replay | None = None) -> Run:
        self.hold = Hold(EXECUTION, 7, self.submit)
        return Run(self.hold, replay or Replay(), Approvals(self.hold))

    @property
    def steps(self) -> list[tuple[str, int, Any, str | None]]:
        return [
            (each.key, each.attempt, each.result, each.error)
            for each in self.commands
            if isinstance(each, RecordStep)
        ]


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def recorded(key: str, name: str, **fields: Any) -> Replay:
    fields = {"attempts": 1, **fields}
    failures = {key: fields["attempts"]} if "error" in fields else {}
    return Replay(steps={key: Step(key=key, name=name, **fields)}, failures=failures)


async def test_a_step_is_recorded_under_its_name_and_the_fence() -> None:
    service = Service()
    assert await service.run().step(double, 4) == 8
    command = service.commands[0]
    assert isinstance(command, RecordStep)
    assert (command.execution_id, command.fence, command.key) == ("x", 7, "double-1")


async def test_keys_follow_the_order_of_calls() -> None:
    service = Service()
    run = service.run()
    later, first = run.step(double, 1), run.step(double, 2)
    assert [await first, await later] == [4, 2]
    assert [key for key, *_ in service.steps] == ["double-2", "double-1"]


async def test_a_key_is_used_once() -> None:
    run = Service().run()
    await run.step(double, 1, key="k")
    with pytest.raises(ValueError, match="'k' is used twice"):
        await run.step(double, 1, key="k")


async def test_a_function_that_blocks_gets_a_thread() -> None:
    def names() -> tuple[str, str]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return "a", "b"

    assert await Service().run().step(names) == ["a", "b"]


async def test_a_recorded_step_is_not_run_again() -> None:
    service = Service()
    run = service.run(recorded("double-1", "double", result=8, completed_at=NOW))
    assert await run.step(double, 5) == 8
    assert service.commands == []


async def test_a_step_recorded_under_another_name_tells_of_changed_code() -> None:
    run = Service().run(recorded("k", "triple", result=8, completed_at=NOW))
    with pytest.raises(errors.Nondeterministic, match="'triple', the workflow now calls it"):
        await run.step(double, 4, key="k")


def failing(times: int) -> Any:
    left = iter(range(times))

    async def fails() -> str:
        await asyncio.sleep(0)
        if next(left, None) is None:
            return "done"
        msg = "boom"
        raise KeyError(msg)

    return fails


async def test_a_failed_attempt_is_recorded_and_tried_again() -> None:
    service = Service()
    assert await service.run().step(failing(2), retries=2, pause=0) == "done"
    assert service.steps == [
        ("fails-1", 1, None, "KeyError: 'boom'"),
        ("fails-1", 2, None, "KeyError: 'boom'"),
        ("fails-1", 3, "done", None),
    ]


async def test_the_last_failure_is_raised_with_its_cause() -> None:
    with pytest.raises(StepFailed, match="'fails-1' failed: KeyError: 'boom'") as failed:
        await Service().run().step(failing(9), retries=1, pause=0)
    assert isinstance(failed.value.__cause__, KeyError)


async def test_a_replay_raises_the_recorded_failure_without_another_attempt() -> None:
    service = Service()
    run = service.run(recorded("fails-1", "fails", error="KeyError: 'boom'"))
    with pytest.raises(StepFailed) as failed:
        await run.step(failing(0))
    assert failed.value.error == "KeyError: 'boom'"
    assert service.commands == []


async def test_a_replay_goes_on_with_the_attempts_that_are_left() -> None:
    service = Service()
    run = service.run(recorded("fails-1", "fails", error="KeyError: 'boom'", attempts=2))
    assert await run.step(failing(0), retries=2) == "done"
    assert service.steps == [("fails-1", 3, "done", None)]


async def test_a_result_that_is_not_json_is_a_failure() -> None:
    with pytest.raises(StepFailed, match="the result of step 'object-1' is not JSON"):
        await Service().run().step(object)


async def test_a_payload_must_be_something() -> None:
    with pytest.raises(ValueError, match="must not be None"):
        await Service().run().approval("Trip", payload=None, policy=require(group="finance"))


ENDED = ExecutionHead(id="x", workflow="w", state=ExecutionState.CANCELLED, version=9, fence=1)


@pytest.mark.parametrize(
    "error",
    [
        errors.Fenced("FENCED", "another worker's"),
        errors.InvalidTransition("INVALID_TRANSITION", "it was cancelled", ENDED),
        errors.Unauthenticated("the token was revoked"),
    ],
)
async def test_a_run_that_is_no_longer_ours_ends_without_a_word(error: errors.PlacetError) -> None:
    service = Service(error)
    run = service.run()
    seen: list[BaseException] = []

    async def workflow() -> None:
        service.hold.join()
        try:
            await asyncio.gather(run.step(double, 1), run.step(asyncio.sleep, 3600))
        except BaseException as raised:
            seen.append(raised)
            raise

    task = asyncio.create_task(workflow())
    await asyncio.wait([task])
    assert task.cancelled()
    assert service.hold.abandoned
    assert [type(each) for each in seen] == [asyncio.CancelledError]
    with pytest.raises(asyncio.CancelledError):
        await run.step(double, 2)
    assert len(service.commands) == 1


async def test_a_refusal_of_a_run_that_is_ours_is_raised() -> None:
    service = Service(errors.InvalidInput("INVALID_INPUT", "key is too long"))
    with pytest.raises(errors.InvalidInput):
        await service.run().step(double, 1)
    assert not service.hold.abandoned


async def test_a_step_with_a_clearance_has_no_second_try() -> None:
    run = Service().run()
    clearance = Clearance(payload=1, approval=None, decisions=(), digest="")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="retries"):
        await run.step(print, clearance=clearance, retries=1)
