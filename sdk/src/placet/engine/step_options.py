"""How a step is done: under which key and name, how often, for how long."""

from contextvars import ContextVar
from dataclasses import dataclass
from math import isfinite
from typing import Any

from placet.approvals.clearance import Clearance
from placet.models.rules import MAX_ATTEMPT

ErrorKinds = type[BaseException] | tuple[type[BaseException], ...]

attempt: ContextVar[int | None] = ContextVar("placet_attempt", default=None)
"""The number of the attempt, inside a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """The options of ``run.step``, and ``final``: kinds of errors that are not tried again.

    Raises ValueError and TypeError for what makes no sense.
    """

    key: str | None = None
    name: str | None = None
    clearance: Clearance | None = None
    retries: int = 0
    pause: float = 0.5
    timeout: float | None = None
    final: ErrorKinds = ()

    def __post_init__(self) -> None:
        _check_retries(self.retries)
        if self.clearance is not None and self.retries:
            msg = "a step with a clearance is begun once, so it can't have retries"
            raise ValueError(msg)
        _check_seconds("pause", self.pause)
        if self.timeout is not None:
            _check_seconds("timeout", self.timeout)
        for kind in self.final if isinstance(self.final, tuple) else (self.final,):
            _check_kind(kind)


def _check_retries(retries: Any) -> None:
    if not isinstance(retries, int) or isinstance(retries, bool):
        msg = f"retries is a whole number, not {retries!r}"
        raise TypeError(msg)
    if not 0 <= retries < MAX_ATTEMPT:
        msg = f"retries is {retries}, it must be from 0 to {MAX_ATTEMPT - 1}"
        raise ValueError(msg)


def _check_kind(kind: Any) -> None:
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        msg = f"final takes types of exceptions, not {kind!r}"
        raise TypeError(msg)


def _check_seconds(what: str, seconds: Any) -> None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        msg = f"{what} is a number of seconds, not {seconds!r}"
        raise TypeError(msg)
    if not (isfinite(seconds) and seconds >= 0):
        msg = f"{what} is {seconds} s, it must be 0 or more"
        raise ValueError(msg)
