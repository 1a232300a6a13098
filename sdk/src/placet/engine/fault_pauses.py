"""How long to wait before an execution is given back that can't go on here."""

import random
from collections import Counter

GIVE_BACK_SECONDS = 5.0
DOUBLINGS = 4
"""How often the pause doubles while one execution meets fault after fault."""
FAULTS = 10_000
"""Executions whose faults are counted, at most."""


class FaultPauses:
    """Counts the faults in a row of each execution, so that none goes back and forth for ever."""

    def __init__(self) -> None:
        self._faults: Counter[str] = Counter()

    def fault(self, execution_id: str) -> None:
        """Count a fault."""
        self._faults[execution_id] += 1
        if len(self._faults) > FAULTS:
            # The oldest may have gone on elsewhere, of which this engine hears nothing.
            del self._faults[next(iter(self._faults))]

    def first(self, execution_id: str) -> bool:
        """Whether an execution met no more than one fault."""
        return self._faults[execution_id] <= 1

    def forget(self, execution_id: str) -> None:
        """Note that an execution goes on, or is gone."""
        self._faults.pop(execution_id, None)

    def seconds(self, execution_id: str) -> float:
        """Return for how long to wait before it is given back."""
        pause = GIVE_BACK_SECONDS * 2.0 ** min(self._faults[execution_id] - 1, DOUBLINGS)
        return pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, no secret
