"""A server under attack keeps its memory, and goes on with the work of others."""

from pathlib import Path

from bench.attacks import MIB, Sizes, attacked
from bench.stack import stack

SIZES = Sizes(
    seconds=6,
    inits=200,
    half_requests=300,
    large_executions=20,
    amplifiers=2,
    unread_streams=20,
    steps=2_000,
    past_states=55,
    past_requests=1,
    approver_streams=100,
)


async def test_no_attack_takes_more_than_the_memory_that_is_allowed(tmp_path: Path) -> None:
    with stack(tmp_path) as running:
        seen = await attacked(running, SIZES)
    # `make bench` attacks harder, and measures the time.
    assert seen.most_bytes < 400 * MIB
    # The upright clients were served all the time, and what is too much was refused with a reason.
    assert seen.livez
    assert seen.decisions
    assert seen.heartbeats
    assert seen.refused.keys() == {"LIMIT_EXCEEDED"}
