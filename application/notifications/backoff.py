"""How long to wait after a try that failed: longer each time, and never the same for all."""

import random

FIRST = 5.0
FACTOR = 3.0
LONGEST = 3 * 3600.0
LONGEST_ASKED = 24 * 3600.0
"""A receiver that asks to wait for longer is asked again after this time."""


def wait_after(tries: int, asked: float | None = None) -> float:
    """Return the seconds until the next try, after so many tries, at least one.

    ``asked`` is how long the receiver asked to wait, if it did. Half of the time is random, so that
    messages which failed together do not come back together.
    """
    span = min(FIRST * FACTOR ** min(tries - 1, 20), LONGEST)
    wait = span * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load, and keeps no secret
    if asked is None:
        return wait
    return max(wait, min(asked, LONGEST_ASKED))
