"""How far the run of an execution is at its worker."""

from enum import Enum, auto


class RunPhase(Enum):
    """The phases of a run. ``AWAY``: its frames were dropped until something happens."""

    LOADING = auto()
    LIVE = auto()
    CATCHING_UP = auto()
    ENDING = auto()
    AWAY = auto()
    CLOSED = auto()
