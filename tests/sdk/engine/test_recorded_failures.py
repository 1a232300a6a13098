"""Whatever a step raises or returns is recorded once, and the same comes of it always."""

import asyncio
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from placet import Clearance, Doubt, ExecutionState, FinalError, Run, StepFailed, require
from placet.engine.failure_codec import (
    doubt_text,
    error_text,
    failure,
    is_final,
    readable,
    refused_text,
)
from placet.errors import InvalidInput, KeyReused, LimitExceeded, RecordedError
from placet.models.rules import MAX_TEXT
from placet.testing import Trial, TrialFailed
from tests.sdk.engines import Made, started
from tests.sdk.people import People
from tests.sdk.trials import result
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")
REFUSED_TEXTS = ("\uffff", "\ufdd0", "\x00", "\ud800", "\U0010fffe", "x" * 20_000)


class Panic(BaseException):
    """What a library in another language raises."""


class Refused(Exception):  # noqa: N818 - the case
    """Named as an error of the sdk."""


class Doubtful(Exception):  # noqa: N818 - the case
    pass


Doubtful.__name__ = "Doubt"


def raising(error: BaseException) -> Callable[[], Any]:
    def raises() -> Any:
        raise error

    return raises


def raising_async(error: BaseException) -> Callable[[], Any]:
    async def raises() -> Any:
        raise error

    return raises


@pytest.mark.parametrize("text", REFUSED_TEXTS, ids=ascii)
async def test_an_error_with_a_text_that_the_service_refuses_is_recorded_once(
    people: People, engine: Made, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    # The reports of the tests take no half of a surrogate pair either.
    caplog.set_level(logging.CRITICAL, "placet.engine")
    only, begun = engine(), 0

    async def fails() -> None:
        nonlocal begun
        begun += 1
        raise ValueError(text)

    @only.workflow
    async def once(run: Run) -> None:
        await run.step(fails)

    async with only:
        ended = await people.ended(await started(people, only, "once"))
    assert (ended.state, begun) == (ExecutionState.FAILED, 1)
    assert str(ended.error).startswith("StepFailed: step 'fails-1' failed: ValueError: ")


@pytest.mark.parametrize("value", ["\uffff", {"\ufdd0": 1}, ["\ud800"], 2**60, {1, object()}])
async def test_a_result_that_can_not_be_recorded_is_not_worked_for_again(
    people: People, engine: Made, value: Any
) -> None:
    only, begun = engine(), 0

    async def works() -> Any:
        nonlocal begun
        begun += 1
        return value

    @only.workflow
    async def once(run: Run) -> str:
        try:
            await run.step(works, retries=5, pause=0)
        except (StepFailed, InvalidInput) as failed:
            return str(failed)
        return "taken"

    async with only:
        ended = await people.ended(await started(people, only, "once"))
    assert begun == 1
    assert "the result of step 'works-1'" in ended.result


@pytest.mark.parametrize("kind", [Panic, GeneratorExit, SystemExit, StopIteration, KeyError])
@pytest.mark.parametrize("made", [raising, raising_async])
async def test_whatever_a_step_raises_is_a_failed_attempt(
    made: Callable[[BaseException], Callable[[], Any]], kind: type[BaseException]
) -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed) as failed:
            await run.step(made(kind("boom")), retries=1, pause=0)
        return failed.value.error

    async with Trial(workflow) as trial:
        said = await asyncio.wait_for(trial.result(), HANGS)
        assert [e.type for e in trial.events] == ["StepFailed", "StepFailed", "Completed"]
    assert kind.__name__ in said


async def test_an_interrupt_that_a_plain_function_raises_is_a_failure() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed) as failed:
            await run.step(raising(KeyboardInterrupt()))
        return failed.value.error

    assert await result(workflow) == "RuntimeError: the function raised KeyboardInterrupt"


async def test_the_cause_of_a_failure_is_the_same_live_and_in_a_replay() -> None:
    seen: list[list[tuple[object, ...]]] = []

    def fails() -> None:
        try:
            raise KeyError("inner")  # noqa: TRY301
        except KeyError as error:
            raise OSError("outer") from error

    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed) as failed:
            await run.step(fails)
        chain: list[tuple[object, ...]] = []
        error = failed.value.__cause__
        while error is not None:
            assert isinstance(error, RecordedError)
            chain.append((error.type, error.message, error.file, error.line))
            error = error.__cause__
        seen.append(chain)
        return failed.value.error

    # The trial replays what it has recorded at its end.
    assert await result(workflow) == "OSError: outer"
    live, replayed = seen
    assert live == replayed
    assert [each[:3] for each in live] == [
        ("OSError", "outer", __file__),
        ("KeyError", "'inner'", __file__),
    ]
    assert all(isinstance(each[3], int) for each in live)


@pytest.mark.parametrize(
    "error",
    [Refused("KEY_REUSED: no: not at all"), Doubtful("was it done?")],
    ids=["Refused", "Doubt"],
)
async def test_an_error_that_is_named_like_one_of_the_sdk_is_the_user_s(error: Exception) -> None:
    begun = 0

    async def fails() -> None:
        nonlocal begun
        begun += 1
        raise error

    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed) as failed:
            await run.step(fails, retries=1, pause=0)
        return failed.value.error

    assert await result(workflow) == f"{type(error).__name__}: {error}"
    assert begun == 2


def test_what_was_recorded_before_is_still_read() -> None:
    plain = failure("k", "ValueError: no\nsuch thing")
    assert isinstance(plain, StepFailed)
    assert (plain.error, plain.__cause__) == ("ValueError: no\nsuch thing", None)
    assert isinstance(failure("k", "Doubt: it was begun"), Doubt)
    refused = failure("k", "Refused: KEY_REUSED: step 'k': other content")
    assert isinstance(refused, KeyReused)
    assert isinstance(failure("k", "Refused: LIMIT_EXCEEDED: step 'k': large"), LimitExceeded)
    assert not is_final("ValueError: no")
    assert is_final("Doubt: it was begun")


def test_a_recorded_text_fits_and_is_read_again() -> None:
    error: BaseException = ValueError("\uffff" * 20_000)
    for number in range(50):
        before, error = error, OSError(f"{number}: " + "\x00" * 1000)
        error.__cause__ = before
    text = error_text(error, final=False)
    assert len(text) <= MAX_TEXT
    assert readable(text).startswith("OSError: 49: ")
    assert isinstance(failure("k", text).__cause__, RecordedError)
    assert not is_final(text)
    assert is_final(refused_text("step 'k'", InvalidInput("INVALID_INPUT", "x" * 20_000)))
    assert is_final(doubt_text("it was begun", text))


def test_a_recorded_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(RecordedError("shop.Declined", "no funds", "a.py", 3)))
    assert (str(error), error.line) == ("shop.Declined: no funds (a.py, line 3)", 3)


async def test_a_doubt_says_what_had_failed(people: People, engine: Made) -> None:
    only = engine()

    async def pay(_: Any) -> None:
        raise OSError("the bank is closed")

    @only.workflow
    async def paying(run: Run) -> str:
        clearance: Clearance = await run.approval("Pay", payload=1, policy=FINANCE)
        try:
            await run.step(pay, clearance.payload, clearance=clearance)
        except Doubt as doubt:
            return f"{doubt} <- {doubt.__cause__}"
        raise AssertionError

    async with only:
        execution_id = await started(people, only, "paying")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        failed = await people.ended(execution_id)
        assert failed.state is ExecutionState.FAILED
        await (await people.get("operator")).retry(failed)
        ended = await people.ended(execution_id, after=failed.version)
    assert (
        "failed with 'OSError: the bank is closed': it may have been done in part" in ended.result
    )
    assert "<- OSError: the bank is closed" in ended.result


async def test_the_traceback_of_a_failed_step_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def workflow(run: Run) -> None:
        await run.step(raising(OSError("boom")), name="breaks")

    with caplog.at_level(logging.WARNING, "placet.engine"), pytest.raises(TrialFailed):
        await result(workflow)
    [line] = [each for each in caplog.records if "step 'breaks-1' of" in each.getMessage()]
    assert line.exc_info is not None
    assert "in raises" in caplog.text


class Declined(FinalError):  # noqa: N818 - the case
    """An error of a user that is final."""


@pytest.mark.parametrize(
    ("error", "begun"), [(Declined("no funds"), 1), (LookupError("x"), 1), (OSError("away"), 3)]
)
async def test_a_final_error_is_not_tried_again(error: Exception, begun: int) -> None:
    count = 0

    async def fails() -> None:
        nonlocal count
        count += 1
        raise error

    async def workflow(run: Run) -> str:
        with pytest.raises(StepFailed) as failed:
            await run.options(retries=2, pause=0, final=(LookupError,)).step(fails)
        return failed.value.error

    assert await result(workflow) == f"{type(error).__name__}: {error}"
    assert count == begun
