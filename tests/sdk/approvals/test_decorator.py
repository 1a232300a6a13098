"""Functions that people let through, call by call, against a service."""

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from placet import (
    Approval,
    ApprovalFilter,
    ApprovalStatus,
    ChangesRequested,
    Client,
    Gate,
    Rejected,
    StepFailed,
    errors,
    require,
    requires_approval,
)
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")


class Office:
    """A gate and its approvers, for functions of a name of their own."""

    def __init__(self, people: People, gate: Gate) -> None:
        self.people = people
        self.gate = gate
        self.name = f"pay-{uuid4()}"
        self.granted_at: str | None = None

    def guard(self, **more: Any) -> Callable[[Callable[..., Any]], Any]:
        given: dict[str, Any] = {"policy": FINANCE, "title": "Pay", "name": self.name}
        return requires_approval(self.gate, **given | more)

    async def pending(self) -> Approval:
        """Wait for the one approval that is asked for."""
        approver = await self.people.get("approver-a")
        where = ApprovalFilter(workflow=[self.name], status=[ApprovalStatus.PENDING])

        async def asked() -> Approval | None:
            found = await approver.approvals(where, at_least=self.granted_at)
            return next(iter(found), None)

        return await until(asked)

    async def grant(self) -> Approval:
        approval = await self.pending()
        accepted = await (await self.people.get("approver-a")).grant(approval)
        self.granted_at = accepted.position
        return approval

    async def granted(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Give what the call gives when it has been let through."""
        task = asyncio.create_task(call)
        await self.grant()
        return await task


@pytest.fixture
async def office(people: People) -> Office:
    return Office(people, Gate(await people.get("engine")))


@dataclass(frozen=True)
class Receipt:
    number: int
    lines: tuple[str, ...]


async def test_an_async_call_is_done_when_it_is_granted(office: Office) -> None:
    @office.guard(title="Pay {euros} to {to}", description=lambda to, **_: f"For {to}")
    async def pay(to: str, *, euros: int = 10) -> Receipt:
        return Receipt(euros, (to,))

    task = asyncio.create_task(pay("Ada", euros=120))
    approval = await office.grant()
    assert (approval.title, approval.description) == ("Pay 120 to Ada", "For Ada")
    assert approval.payload == {"to": "Ada", "euros": 120}
    assert await task == Receipt(120, ("Ada",))


async def test_a_call_runs_with_the_arguments_that_people_amended(office: Office) -> None:
    paid: list[tuple[str, int]] = []

    @office.guard(policy=FINANCE.allow_amendment())
    async def pay(to: str, euros: int) -> int:
        paid.append((to, euros))
        return euros

    async def amended(payload: Any) -> Any:
        task = asyncio.create_task(pay.keyed(str(uuid4()))("Ada", 120))
        approval = await office.pending()
        approver = await office.people.get("approver-a")
        office.granted_at = (await approver.grant(approval, amended_payload=payload)).position
        return await task

    assert await amended({"to": "Ada", "euros": 90}) == 90
    with pytest.raises(ValueError, match="but the function takes to, euros; it was not called"):
        await amended({"to": "Ada", "dollars": 90})
    assert paid == [("Ada", 90)]


async def test_a_blocking_call_runs_in_the_thread_of_its_caller(office: Office) -> None:
    @office.guard()
    def pay(euros: int) -> tuple[int, int]:
        return euros, threading.get_ident()

    def call() -> tuple[tuple[int, int], int]:
        return pay(7), threading.get_ident()

    (euros, ran_in), called_in = await office.granted(asyncio.to_thread(call))
    assert (euros, ran_in) == (7, called_in)


async def test_a_blocking_call_keeps_its_result_and_its_failure(office: Office) -> None:
    runs = []

    @office.guard()
    def pay(euros: int) -> int:
        runs.append(euros)
        if euros < 0:
            raise OSError("the bank is closed")
        return euros

    assert await office.granted(asyncio.to_thread(pay, 1)) == 1
    assert await asyncio.to_thread(pay, 1) == 1
    with pytest.raises(OSError, match="closed"):
        await office.granted(asyncio.to_thread(pay, -1))
    with pytest.raises(StepFailed, match="closed"):
        await asyncio.to_thread(pay, -1)
    assert runs == [1, -1]


async def test_a_blocking_call_does_not_block_an_event_loop(office: Office) -> None:
    @office.guard()
    def pay() -> None:
        raise NotImplementedError

    with pytest.raises(RuntimeError, match="would block the event loop"):
        pay()


async def test_a_rejected_call_raises_and_is_not_done(office: Office) -> None:
    @office.guard()
    async def pay() -> None:
        raise NotImplementedError

    task = asyncio.create_task(pay())
    await (await office.people.get("approver-a")).reject(await office.pending(), comment="no")
    with pytest.raises(Rejected, match="no"):
        await task


async def test_a_call_of_which_people_want_changes_is_made_anew_under_its_key(
    office: Office,
) -> None:
    @office.guard(key=lambda to, **_: f"invoice of {to}")
    async def pay(to: str, *, euros: int) -> str:
        return f"{euros} to {to}"

    task = asyncio.create_task(pay("Ada", euros=120))
    approval = await office.pending()
    approver = await office.people.get("approver-a")
    said = await approver.request_changes(approval, comment="cheaper")
    office.granted_at = said.position
    with pytest.raises(ChangesRequested) as raised:
        await task
    assert raised.value.comments == ("cheaper",)
    assert await office.granted(pay("Ada", euros=100)) == "100 to Ada"


async def test_equal_arguments_are_the_same_call(office: Office) -> None:
    runs = []

    @office.guard()
    async def pay(to: str, euros: int = 1) -> int:
        runs.append(to)
        return euros

    assert await office.granted(pay("Ada")) == 1
    assert await pay(to="Ada", euros=1) == 1
    assert await office.granted(pay("Bob")) == 1
    assert runs == ["Ada", "Bob"]


async def test_a_key_tells_equal_calls_apart_and_other_calls_off(office: Office) -> None:
    runs = []

    @office.guard()
    async def pay(to: str) -> None:
        runs.append(to)

    await office.granted(pay.keyed("march")("Ada"))
    await office.granted(pay.keyed("april")("Ada"))
    await pay.keyed("april")("Ada")
    with pytest.raises(errors.KeyReused):
        await pay.keyed("april")("Bob")
    assert runs == ["Ada", "Ada"]


async def test_the_arguments_may_name_what_a_call_is_about(office: Office) -> None:
    @office.guard(key=lambda invoice, _euros: invoice)
    async def pay(invoice: str, _euros: int) -> str:
        return invoice

    await office.granted(pay("R-17", 120))
    with pytest.raises(errors.KeyReused):
        await pay("R-17", 1200)


async def test_the_policy_may_depend_on_the_arguments(office: Office) -> None:
    @office.guard(policy=lambda euros: FINANCE if euros < 100 else require(group="managers"))
    async def pay(euros: int) -> int:
        return euros

    task = asyncio.create_task(pay(100))
    approval = await office.grant()
    assert [each.groups for each in approval.policy.requirements] == [["managers"]]
    await task


async def test_what_runs_is_what_was_granted(office: Office) -> None:
    given = {"euros": 120}

    @office.guard()
    async def pay(order: dict[str, int]) -> dict[str, int]:
        return order

    task = asyncio.create_task(pay(given))
    await office.pending()
    given["euros"] = 1_000_000
    await office.grant()
    assert await task == {"euros": 120}


async def test_a_method_hides_what_it_belongs_to(office: Office) -> None:
    class Till:
        def __init__(self) -> None:
            self.paid = 0

        @office.guard(hidden=["self"], title="Pay {euros}")
        async def pay(self, euros: int) -> None:
            self.paid += euros

    till = Till()
    await office.granted(till.pay(5))
    assert till.paid == 5


async def test_a_long_title_is_cut_and_the_payload_is_whole(office: Office) -> None:
    @office.guard(title="Say {text}")
    async def say(text: str) -> int:
        return len(text)

    task = asyncio.create_task(say("x" * 1000))
    approval = await office.grant()
    assert approval.title is not None
    assert (len(approval.title), approval.title[-1]) == (500, "…")
    assert await task == 1000


async def test_the_gate_may_come_later(people: People, office: Office) -> None:
    gates: list[Gate] = []

    @requires_approval(lambda: gates[0], policy=FINANCE, title="Pay", name=office.name)
    async def pay() -> str:
        return "paid"

    gates.append(Gate(await people.get("engine")))
    assert await office.granted(pay()) == "paid"


def test_what_could_not_work_is_told_when_it_decorates() -> None:
    gate = Gate(Client("http://127.0.0.1:9", "no-token"))

    with pytest.raises(TypeError, match=r"names 'amount', which .* does not show"):

        @requires_approval(gate, policy=FINANCE, title="Pay {amount}")
        def pay(euros: int) -> None:
            raise NotImplementedError(euros)

    with pytest.raises(TypeError, match="is a generator"):

        @requires_approval(gate, policy=FINANCE, title="Count")
        def count() -> Any:
            yield 1


class Caller:
    async def __call__(self, euros: int) -> int:
        return euros


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as libraries do that know of no async functions."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


def numbers(euros: int) -> Iterator[int]:
    yield euros


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (functools.partial(int, base=2), "is no function"),
        (Caller(), "is no function"),
        (Caller, "is no function"),
        (classmethod(lambda cls, euros: (cls, euros)), "put @classmethod above"),
        (staticmethod(str), "put @staticmethod above"),
        (wrapped(numbers), "is a generator"),
    ],
    ids=["partial", "object", "class", "classmethod", "staticmethod", "generator"],
)
def test_what_is_no_function_is_refused_in_words(function: Any, said: str) -> None:
    gate = Gate(Client("http://127.0.0.1:9", "no-token"))
    with pytest.raises(TypeError, match=said):
        requires_approval(gate, policy=FINANCE, title="Pay")(function)


def test_a_function_of_a_script_needs_a_name_of_its_own() -> None:
    gate = Gate(Client("http://127.0.0.1:9", "no-token"))

    def deploy() -> None:
        raise NotImplementedError

    deploy.__module__ = "__main__"
    with pytest.raises(ValueError, match=r"deploy is of __main__.*name="):
        requires_approval(gate, policy=FINANCE, title="Deploy")(deploy)
    requires_approval(gate, policy=FINANCE, title="Deploy", name="deploy")(deploy)


async def test_an_async_function_behind_another_wrapper_is_not_taken_for_done(
    office: Office,
) -> None:
    ran = False

    @office.guard()
    @wrapped
    async def pay(euros: int) -> int:
        nonlocal ran
        ran = True
        return euros

    with pytest.raises(RuntimeError, match="async behind a decorator that is not"):
        pay(1)
    with pytest.raises(TypeError, match=r"gave a coroutine, which was not awaited.*async def"):
        await office.granted(asyncio.to_thread(pay, 1))
    with pytest.raises(StepFailed, match="not awaited"):
        await asyncio.to_thread(pay, 1)
    assert not ran


async def test_a_wrapper_that_runs_an_async_function_to_its_end_is_like_any_other(
    office: Office,
) -> None:
    async def pays(euros: int) -> int:
        return euros

    @functools.wraps(pays)
    def pay(euros: int) -> int:
        return asyncio.run(pays(euros))

    assert await office.granted(asyncio.to_thread(office.guard()(pay), 3)) == 3


class Order(BaseModel):
    euros: Decimal
    to: str


async def test_models_of_pydantic_are_shown_and_handed_on(office: Office) -> None:
    seen: list[Order] = []

    @office.guard(title="Pay {order.euros} to {order.to}")
    async def pay(order: Order) -> Order:
        seen.append(order)
        return order

    given = Order(euros=Decimal("12.50"), to="Ada")
    task = asyncio.create_task(pay(given))
    approval = await office.grant()
    assert approval.title == "Pay 12.50 to Ada"
    assert approval.payload == {"order": {"euros": "12.50", "to": "Ada"}}
    assert await task == given
    assert seen == [given]
