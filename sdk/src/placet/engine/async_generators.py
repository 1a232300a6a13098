"""What becomes of the async generators of a workflow that were left before their end.

Python hands them to the event loop when they are garbage. If the last reference went, this happens
at the same place of the code in each replay, so the loop of the workflow may end them. What the
cyclic garbage collector finds, it finds at any moment; the record must not depend on that.
"""

import gc
from threading import get_ident
from typing import Any

_collecting: set[int] = set()
"""The threads that collect garbage at this moment."""


def _note(phase: str, info: dict[str, Any]) -> None:
    del info
    (_collecting.add if phase == "start" else _collecting.discard)(get_ident())


gc.callbacks.append(_note)


def left_by_code() -> bool:
    """Whether what is garbage now was left by the code that runs, not found by the collector."""
    return get_ident() not in _collecting
