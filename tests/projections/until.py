"""Waits for a condition that another thread meets."""

import time
from collections.abc import Callable

from tests.support.patience import HANGS


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
