"""Checks what always holds in many more histories than the tests do, on all processors.

    python -m tests.domain.execution.many_histories 100000

Each history is a valid example of one of the two state machines, half of them of each, with up to
40 commands. Fails with the shortest commands that break an invariant.
"""

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.domain.execution.test_state_machine import Aggregate, Approvals

IN_A_CHUNK = 1_000
MACHINES = (Aggregate, Approvals)


def check(chunk: int) -> str:
    """Check a chunk of histories, chosen at random, and return the name of their machine."""
    machine = MACHINES[chunk % len(MACHINES)]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=IN_A_CHUNK,
            stateful_step_count=40,
            database=None,
            deadline=None,
            derandomize=False,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.__name__


def main() -> None:
    histories = int(sys.argv[1])
    chunks, rest = divmod(histories, IN_A_CHUNK)
    if rest:
        sys.exit(f"{histories} is not a multiple of {IN_A_CHUNK}")
    began, checked = time.monotonic(), dict.fromkeys((each.__name__ for each in MACHINES), 0)
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        try:
            for done in as_completed(processes.submit(check, chunk) for chunk in range(chunks)):
                checked[done.result()] += IN_A_CHUNK
                by_machine = ", ".join(f"{name} {number}" for name, number in checked.items())
                minutes = (time.monotonic() - began) / 60
                told = f"{sum(checked.values())} of {histories}: {by_machine}; {minutes:.1f} min"
                print(told, flush=True)  # noqa: T201 - it is what it is for
        finally:
            processes.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
