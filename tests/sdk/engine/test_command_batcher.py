"""Commands of many runs on their way to the service, which here is a plain function."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from placet import Refused, errors
from placet.engine.command_batcher import MAX_BYTES, CommandBatcher, Result
from placet.models.commands import CompleteExecution, RecordStep, RedeemApproval
from placet.models.rules import MAX_COMMANDS
from placet.models.worker_responses import Noted

ACCEPTED = Noted(position="1", at=datetime(2026, 1, 1, tzinfo=UTC), repeated=False)
Answer = Callable[[list[dict[str, Any]]], list[Result]]


class Service:
    """Answers each request by the next of the given answers, by default accepting all."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[list[dict[str, Any]]] = []

    async def __call__(
        self, bodies: Sequence[msgspec.Raw], traces: Sequence[str | None]
    ) -> list[Result]:
        assert len(traces) == len(bodies)
        commands = [json.loads(bytes(body)) for body in bodies]
        self.requests.append(commands)
        await asyncio.sleep(0)
        return self.answers.pop(0)(commands) if self.answers else [ACCEPTED] * len(commands)

    @property
    def sizes(self) -> list[int]:
        return [len(request) for request in self.requests]


def step(execution: str, key: str, result: Any = None) -> RecordStep:
    return RecordStep(execution_id=execution, key=key, name=key, result=result)


def keys(request: list[dict[str, Any]]) -> list[str]:
    return [command["recordStep"]["key"] for command in request]


async def test_commands_that_come_together_go_together() -> None:
    service = Service()
    batcher = CommandBatcher(service)
    sent = [batcher.submit(step(str(i), "a")) for i in range(MAX_COMMANDS + 10)]
    assert await asyncio.gather(*sent) == [ACCEPTED] * (MAX_COMMANDS + 10)
    assert service.sizes == [MAX_COMMANDS, 10]


async def test_order_is_kept() -> None:
    service = Service()
    batcher = CommandBatcher(service)
    names = [f"s{i}" for i in range(600)]
    await asyncio.gather(*(batcher.submit(step("x", name)) for name in names))
    assert [key for request in service.requests for key in keys(request)] == names


async def test_a_request_stays_below_the_limit_of_a_body() -> None:
    service = Service()
    batcher = CommandBatcher(service)
    large = "x" * (MAX_BYTES // 3)
    await asyncio.gather(*(batcher.submit(step("x", str(i), large)) for i in range(5)))
    assert service.sizes == [2, 2, 1]


async def test_each_stands_or_falls_alone() -> None:
    refused = errors.InvalidTransition("INVALID_TRANSITION", "no")
    batcher = CommandBatcher(Service(lambda _: [ACCEPTED, refused, ACCEPTED]))
    outcomes = await asyncio.gather(
        *(batcher.submit(step(str(i), "a")) for i in range(3)), return_exceptions=True
    )
    assert outcomes == [ACCEPTED, refused, ACCEPTED]


async def test_what_was_skipped_is_sent_again_in_its_place() -> None:
    refused = errors.KeyReused("KEY_REUSED", "other content")
    skipped = Refused("SKIPPED", "an earlier one was refused")
    service = Service(lambda _: [refused, skipped, skipped])
    batcher = CommandBatcher(service)
    outcomes = await asyncio.gather(
        *(batcher.submit(step("x", key)) for key in "abc"), return_exceptions=True
    )
    assert outcomes == [refused, ACCEPTED, ACCEPTED]
    assert [keys(request) for request in service.requests] == [["a", "b", "c"], ["b", "c"]]


async def test_what_was_not_taken_is_sent_until_it_is() -> None:
    def away(_: object) -> list[Result]:
        raise errors.Unavailable("the database is away")

    overloaded = Refused("OVERLOADED", "later")
    unknown = Refused("OUTCOME_UNKNOWN", "the answer was lost")
    service = Service(away, away, lambda _: [overloaded, unknown])
    batcher = CommandBatcher(service)
    sent = asyncio.gather(batcher.submit(step("x", "a")), batcher.submit(step("y", "b")))
    assert list(await sent) == [ACCEPTED, ACCEPTED]
    assert service.sizes == [2, 2, 2, 2]


async def test_one_bad_command_does_not_spoil_the_others() -> None:
    def malformed(commands: list[dict[str, Any]]) -> list[Result]:
        if "b" in keys(commands):
            raise errors.BadRequest("malformed")
        return [ACCEPTED] * len(commands)

    batcher = CommandBatcher(Service(*[malformed] * 4))
    outcomes = await asyncio.gather(
        *(batcher.submit(step("x", key)) for key in "abc"), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [Noted, errors.BadRequest, Noted]


async def test_a_command_whose_waiter_is_gone_is_not_sent() -> None:
    service = Service()
    batcher = CommandBatcher(service)
    gone = asyncio.create_task(batcher.submit(step("x", "a")))
    stays = asyncio.create_task(batcher.submit(CompleteExecution(execution_id="y")))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == ACCEPTED
    assert service.sizes == [1]


async def test_close_cancels_who_waits() -> None:
    sending = asyncio.Event()

    async def hang(*_: object) -> list[Result]:
        sending.set()
        return await asyncio.Future[list[Result]]()

    batcher = CommandBatcher(hang)
    sent = [asyncio.create_task(batcher.submit(step(str(i), "a"))) for i in range(3)]
    await sending.wait()
    await batcher.close()
    await asyncio.wait(sent)
    assert all(task.cancelled() for task in sent)


def failing(_: list[dict[str, Any]]) -> list[Result]:
    raise errors.Internal("a fault of the service")


async def test_a_fault_of_the_service_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placet.engine.command_batcher._PAUSE_SECONDS", 0.001)
    service = Service(failing, failing)
    batcher = CommandBatcher(service)
    sent = [batcher.submit(step(str(i), "a")) for i in range(3)]
    assert await asyncio.gather(*sent) == [ACCEPTED] * 3
    # The second time each goes alone, because the fault may be that of one.
    assert service.sizes == [3, 3, 1, 1, 1]


async def test_a_fault_that_stays_is_its_own_command_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placet.engine.command_batcher._PAUSE_SECONDS", 0.001)

    def some(commands: list[dict[str, Any]]) -> list[Result]:
        if any(command["recordStep"]["key"] == "bad" for command in commands):
            raise errors.Internal("a fault of the service")
        return [ACCEPTED] * len(commands)

    service = Service(*[some] * 20)
    batcher = CommandBatcher(service)
    good, bad, fine = await asyncio.gather(
        *(batcher.submit(step(key, key)) for key in ("good", "bad", "fine")),
        return_exceptions=True,
    )
    assert (good, fine) == (ACCEPTED, ACCEPTED)
    assert isinstance(bad, errors.Internal)
    assert await batcher.submit(step("next", "next")) == ACCEPTED


async def test_nobody_waits_for_ever_for_what_could_not_be_sent() -> None:
    def broken(_: list[dict[str, Any]]) -> list[Result]:
        raise RuntimeError("Session is closed")

    batcher = CommandBatcher(Service(broken))
    with pytest.raises(errors.Internal, match="Session is closed"):
        await batcher.submit(step("x", "a"))
    assert await batcher.submit(step("x", "b")) == ACCEPTED


async def test_the_fault_of_one_command_holds_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("placet.engine.command_batcher._PAUSE_SECONDS", 0.05)
    fault = Refused("INTERNAL", "a fault of the service")
    skipped = Refused("SKIPPED", "an earlier one failed")

    def some(commands: list[dict[str, Any]]) -> list[Result]:
        bad = False
        results: list[Result] = []
        for command in commands:
            step = command["recordStep"]
            if step["executionId"] == "x":
                results.append(skipped if bad else fault)
                bad = True
            else:
                results.append(ACCEPTED)
        return results

    service = Service(*[some] * 50)
    batcher = CommandBatcher(service)
    bad = asyncio.create_task(batcher.submit(step("x", "bad")))
    later = asyncio.create_task(batcher.submit(step("x", "later")))
    for number in range(5):
        assert await batcher.submit(step("y", str(number))) == ACCEPTED
    assert not bad.done()
    with pytest.raises(errors.Internal, match="a fault of the service"):
        await bad
    with pytest.raises(errors.Internal):
        await later
    of_x = [key for r in service.requests for key in keys(r) if key in {"bad", "later"}]
    # Never does a later command of the execution go before the one that is repeated.
    assert of_x.index("later") > of_x.index("bad")
    assert "bad" not in of_x[of_x.index("later", 2 * of_x.count("bad") - 1) + 1 :]


@pytest.mark.parametrize("kind", [errors.BadRequest, errors.LimitExceeded])
async def test_what_goes_again_is_not_overtaken_when_commands_go_alone(
    kind: type[errors.RequestError],
) -> None:
    carried_out: list[str] = []
    overloaded = [Refused("OVERLOADED", "later")]

    def some(commands: list[dict[str, Any]]) -> list[Result]:
        if len(commands) > 1 and "bad" in keys(commands):
            raise kind("malformed")
        if keys(commands) == ["bad"]:
            raise kind("malformed")
        if overloaded and "a" in keys(commands):
            return [overloaded.pop()]
        carried_out.extend(keys(commands))
        return [ACCEPTED] * len(commands)

    batcher = CommandBatcher(Service(*[some] * 20))
    sent = [("x", "a"), ("z", "bad"), ("x", "b"), ("y", "c"), ("x", "d")]
    outcomes = await asyncio.gather(
        *(batcher.submit(step(*each)) for each in sent), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [Noted, kind, Noted, Noted, Noted]
    assert [key for key in carried_out if key != "c"] == ["a", "b", "d"]


async def test_a_command_that_names_no_execution_keeps_its_place() -> None:
    carried_out: list[str] = []
    fault = [Refused("INTERNAL", "a fault of the service")]

    def some(commands: list[dict[str, Any]]) -> list[Result]:
        results: list[Result] = []
        for command in commands:
            if "redeemApproval" in command and fault:
                results.append(fault.pop())
            else:
                carried_out.append(next(iter(command)))
                results.append(ACCEPTED)
        return results

    batcher = CommandBatcher(Service(*[some] * 20))
    redeem = RedeemApproval(approval_id="a", payload_digest="d", redemption_key="k")
    first = asyncio.create_task(batcher.submit(redeem, "x"))
    await asyncio.sleep(0.05)
    await batcher.submit(step("x", "after"), "x")
    assert await first == ACCEPTED
    assert carried_out == ["redeemApproval", "recordStep"]
