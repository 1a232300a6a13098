"""The states of an execution as a drawing: every way that is possible, and the one that was taken.

The boxes have fixed places. The ways come from the transition table.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from api.console.views.wording import STATES, TONES
from application.event_store.chained_events import LoggedEvent
from domain.execution.transitions import TRANSITIONS
from domain.values import ExecutionState


class Layout(NamedTuple):
    """Where the boxes are: the middle of each, their widths and height, and the whole size."""

    places: dict[ExecutionState, tuple[int, int]]
    widths: dict[ExecutionState, int]
    box_height: int
    width: int
    height: int
    bend: int


WIDE = Layout(
    places={
        ExecutionState.RUNNING: (124, 125),
        ExecutionState.WAITING_APPROVAL: (380, 40),
        ExecutionState.RESUMED: (380, 210),
        ExecutionState.COMPLETED: (664, 40),
        ExecutionState.FAILED: (664, 125),
        ExecutionState.CANCELLED: (664, 210),
    },
    widths=dict.fromkeys(ExecutionState, 168),
    box_height=44,
    width=760,
    height=250,
    bend=16,
)
# For a phone: from the top down, with the ends in one row.
NARROW = Layout(
    places={
        ExecutionState.RUNNING: (170, 26),
        ExecutionState.WAITING_APPROVAL: (82, 132),
        ExecutionState.RESUMED: (266, 132),
        ExecutionState.COMPLETED: (54, 262),
        ExecutionState.FAILED: (170, 262),
        ExecutionState.CANCELLED: (286, 262),
    },
    widths={
        **dict.fromkeys(ExecutionState, 104),
        ExecutionState.WAITING_APPROVAL: 160,
    },
    box_height=44,
    width=340,
    height=288,
    bend=10,
)


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A state with its corner and size. ``visits`` counts how often the execution came into it."""

    x: float
    y: float
    width: float
    height: float
    word: str
    tone: str
    visits: int
    current: bool


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A line from state to state as a path of SVG. ``times`` counts how often it was taken."""

    path: str
    times: int


class Diagram(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing. ``steps`` are the states in the order in which the execution was in them."""

    boxes: list[Box]
    ways: list[Way]
    steps: list[str]
    width: int
    height: int


def states_of(events: Sequence[LoggedEvent]) -> list[ExecutionState | None]:
    """Return the state after each event; None as long as it is not known."""
    states: list[ExecutionState | None] = []
    state: ExecutionState | None = None
    for event in events:
        state = TRANSITIONS.get((state, type(event.recorded.event)), state)
        states.append(state)
    return states


def diagram_of(events: Sequence[LoggedEvent], current: ExecutionState, layout: Layout) -> Diagram:
    """Draw the way of an execution with these events, from the first on."""
    steps: list[ExecutionState] = []
    for state in states_of(events):
        if state is not None and (not steps or steps[-1] is not state):
            steps.append(state)
    taken = Counter(pairwise(steps))
    visits = Counter(steps)
    possible = {
        (source, target)
        for (source, _), target in TRANSITIONS.items()
        if source is not None and source is not target
    }
    return Diagram(
        boxes=[
            Box(
                x=x - layout.widths[state] / 2,
                y=y - layout.box_height / 2,
                width=layout.widths[state],
                height=layout.box_height,
                word=STATES[state.value],
                tone=TONES[state.value],
                visits=visits[state],
                current=state is current,
            )
            for state, (x, y) in layout.places.items()
        ],
        # Those that were taken are drawn above the others.
        ways=sorted(
            (Way(path=_path(layout, *way), times=taken[way]) for way in possible),
            key=lambda way: (way.times, way.path),
        ),
        steps=[STATES[state.value] for state in steps],
        width=layout.width,
        height=layout.height,
    )


def _path(layout: Layout, source: ExecutionState, target: ExecutionState) -> str:
    """Return a curve from box to box, bent so that a way and its way back do not lie together."""
    (x1, y1), (x2, y2) = layout.places[source], layout.places[target]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    across = -(y2 - y1) / length * layout.bend, (x2 - x1) / length * layout.bend
    start = _edge(layout, source, (x2, y2), across)
    end = _edge(layout, target, (x1, y1), across)
    middle = (x1 + x2) / 2 + across[0] * 2, (y1 + y2) / 2 + across[1] * 2
    points = (*start, *middle, *end)
    return "M{:.1f} {:.1f} Q{:.1f} {:.1f} {:.1f} {:.1f}".format(*points)


def _edge(
    layout: Layout,
    state: ExecutionState,
    towards: tuple[float, float],
    across: tuple[float, float],
) -> tuple[float, float]:
    """Return where the line from the middle of a box to a point leaves the box."""
    middle_x, middle_y = layout.places[state]
    half, height = layout.widths[state] / 2, layout.box_height / 2
    dx, dy = towards[0] - middle_x, towards[1] - middle_y
    share = min((half + 4) / abs(dx) if dx else 9.0, (height + 4) / abs(dy) if dy else 9.0)
    x, y = middle_x + dx * share, middle_y + dy * share
    # Moved along the side on which it leaves.
    if abs(dy) * share >= height + 3:
        return x + across[0], y
    return x, y + max(min(across[1], height), -height)
