"""Requests for approval through the writer: with a form and a deadline, and without."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from application.command_handling.outcomes import Accepted
from application.command_handling.writer import Writer
from bench.log_load import ENGINE, request, start, writer
from bench.measure import Bound, Result, median, milliseconds
from domain.approvals.commands import RequestApproval
from domain.approvals.policy import Policy, Requirement

IN_FLIGHT = 16
EACH = 320
ROUNDS = 9
PLAIN = Policy(requirements=(Requirement(groups=("finance",)),))
WITHIN = Policy(requirements=PLAIN.requirements, within=timedelta(days=2))
FORM = {
    "type": "object",
    "properties": {
        f"field_{number}": {"type": "string", "title": f"Field {number}", "maxLength": 200}
        for number in range(8)
    },
    "required": ["field_1", "field_2"],
}


async def started(to: Writer) -> list[UUID]:
    """Start as many executions as there are requests in a round."""
    ids = [uuid4() for _ in range(EACH)]
    for begin in range(0, EACH, IN_FLIGHT):
        some = ids[begin : begin + IN_FLIGHT]
        await to.handle([request(start(number, id_)) for number, id_ in enumerate(some)])
    return ids


async def asked(to: Writer, policy: Policy, form: Any) -> list[float]:
    """Ask once in each of the executions, and return the latencies.

    What is checked before the writer is part of a request, as in the API.
    """
    left = await started(to)
    latencies = []

    async def one() -> None:
        while left:
            began = time.perf_counter()
            command = RequestApproval(
                by=ENGINE,
                execution_id=left.pop(),
                key="pay",
                title="Pay",
                payload={"euros": 120, "to": "the band"},
                policy=policy,
                form=form,
            )
            [outcome] = await to.handle([request(command)])
            assert isinstance(outcome, Accepted), outcome
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))
    return latencies


async def run(url: str) -> Result:
    """Measure both in turns, so that other load on the machine affects both."""
    result = Result("Requests for approval through the writer")
    kinds = {"without form and deadline": (PLAIN, None), "with both": (WITHIN, FORM)}
    took: dict[str, list[list[float]]] = {name: [] for name in kinds}
    async with writer(url) as to:
        for _ in range(ROUNDS + 1):
            for name, (policy, form) in kinds.items():
                took[name].append(await asked(to, policy, form))
    for name, rounds in took.items():
        result.add(name, **milliseconds([each for part in rounds[1:] for each in part]))
    plain, both = took.values()
    ratio = median([sum(b) / sum(a) for a, b in zip(plain[1:], both[1:], strict=True)])
    result.bounds.append(Bound("with form and deadline to without", ratio, 1.3, at_least=False))
    return result
