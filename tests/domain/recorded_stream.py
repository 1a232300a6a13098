"""An execution as it was recorded once: parallel approvals, failures, a retry, a redemption."""

from tests.domain.ask import (
    claim,
    complete,
    fail,
    grant,
    needs,
    policy,
    redeem,
    reject,
    request,
    retry,
    start,
    step,
    withdraw,
)
from tests.domain.people import ENGINE, approver
from tests.domain.scenario import Given, given


def permit() -> Given:
    """Play the execution from its start to its end."""
    history = given()
    for ask in (
        start(
            input={"to": "Eindhoven", "cost": 120.5},
            labels={"team": "maths"},
            on_behalf_of="tom",
            key="trip-1",
        ),
        claim(),
        step("estimate", error="the service is away"),
        step("estimate", attempt=2, result={"cost": 120.5}),
        request("permit", policy=policy(needs("finance"), needs("legal"), rejections=2)),
        request("visa", title="A visa", payload=["passport"], policy=policy(needs("legal"))),
        grant(by=approver("both", "finance", "legal"), ordinal=1, comment="fine"),
        reject(by="cleo", ordinal=2, comment="no photo"),
        request("extra", payload=None),
        withdraw(3),
        grant(by="bob", ordinal=1),
        fail(error="the visa was refused"),
        retry(),
        claim(by=ENGINE, worker="worker-2"),
        request("visa", title="A visa", payload=["passport"], policy=policy(needs("legal"))),
        grant(by="cleo"),
        redeem(1, key="booking-1"),
        step("book", result={"seat": "4A"}),
        complete(result="booked"),
    ):
        asked = history.when(ask)
        assert asked.recorded, f"nothing was recorded for {ask}"
        history = asked
    return history
