"""One lifecycle with a decision: Placet compared with other libraries, on the same PostgreSQL.

Each part is measured for one contender after the other, so that other load on the machine affects
all of them. Each measurement has an empty database and new processes.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Bound, Result, percentile
from bench.rivals import environment
from bench.rivals.drive import CONTENDERS
from bench.rivals.measuring_process import Figures, PartError, measured
from bench.rivals.parts import IN_FLIGHT, PARTS, Sizes
from bench.temporary_database import database

OURS = "placet"
NEEDS_NODE = COMPARED = "restate"
IDLE_RATIO = 1.4
"""To Restate's idle wake. Placet's includes the commit of the decision to PostgreSQL."""
WAITING_BOUND = 5_000
OUR_SIZES = Sizes(waiting=(*Sizes.waiting, 100_000))
"""The other contenders would take from three to fifteen minutes to have 100,000 waiting."""


async def run(
    url: str, *, contenders: Sequence[str] = tuple(CONTENDERS), sizes: Sizes | None = None
) -> Result:
    """Measure all contenders. Without ``sizes``, Placet is also measured with 100,000 waiting.

    Raises PartError for Placet. Another library that fails is left out, with a note.
    """
    result = Result("One lifecycle: start, step, approval, decision, step, complete")
    result.notes.append(f"The machine's load was {os.getloadavg()[0]:.1f} before.")
    able = _able(contenders, result)
    idle: dict[str, float] = {}
    for part in PARTS:
        for name in able:
            python = sys.executable if name == OURS else str(environment.PYTHON)
            figures: list[Figures] = []
            try:
                with database(url, f"{name}_{part}") as own:
                    size = sizes or (OUR_SIZES if name == OURS else Sizes())
                    async for each in measured(python, name, part, own, size):
                        figures.append(each)  # noqa: PERF401 - what came before an error counts
            except PartError as error:
                if name == OURS:
                    raise
                result.notes.append(f"{name}, {part}: {error}")
            if part == "idle" and len(figures) > 1:
                idle[name] = percentile(figures[1]["wakes"], 0.5)
            _add(result, part, figures, ours=name == OURS)
    if OURS in idle and COMPARED in idle:
        ratio = idle[OURS] / idle[COMPARED]
        result.bounds.append(Bound("idle p50 to Restate's", ratio, IDLE_RATIO, at_least=False))
    return result


def _able(contenders: Sequence[str], result: Result) -> list[str]:
    """Return the contenders that can be run here, and note why the others can't."""

    def installed(names: Sequence[str], install: Callable[[], None]) -> Sequence[str]:
        try:
            install()
        except environment.EnvironmentMissingError as error:
            result.notes.append(f"Left out: {', '.join(names)}. {error}")
            return ()
        return names

    others = [name for name in contenders if name != OURS]
    able = set(contenders) - set(others)
    able.update(others and installed(others, environment.make))
    if NEEDS_NODE in able and not installed([NEEDS_NODE], environment.make_node):
        able.remove(NEEDS_NODE)
    return [name for name in contenders if name in able]


def _add(result: Result, part: str, figures: Sequence[Figures], *, ours: bool) -> None:
    """Add the rows of one contender's part, and the bounds if it is Placet."""
    if not figures:
        return
    versions, *figures = figures
    result.versions |= versions["versions"]
    [(name, version), *_] = versions["versions"].items()
    what = f"{name} {version}"
    rows = [_ROWS[part](each, figures[0]) for each in figures]
    for each, row in zip(figures, rows, strict=True):
        if row:
            result.add(f"{what}, {_title(part, each)}", **row)
            if ours:
                result.bounds += _bounds(part, each, row)


def _title(part: str, figures: Figures) -> str:
    match part:
        case "idle":
            return "idle"
        case "rested":
            return "after 2 s of rest"
        case "load":
            return f"{IN_FLIGHT} in flight"
        case "killed":
            return f"kill -9 with {figures['killed']} waiting"
    return f"{figures['waiting']:,} waiting"


def _wakes(figures: Figures) -> dict[str, float | str]:
    wakes = figures["wakes"]
    return {
        "wake p50 ms": percentile(wakes, 0.5) * 1000,
        "wake p99 ms": percentile(wakes, 0.99) * 1000,
        "n": len(wakes),
    }


def _idle(figures: Figures, _: Figures) -> dict[str, float | str]:
    return _wakes(figures)


def _load(figures: Figures, _: Figures) -> dict[str, float | str]:
    ran = max(len(figures["wakes"]), 1)
    return {
        "lifecycles/s": len(figures["wakes"]) / figures["seconds"],
        **_wakes(figures),
        **{
            f"{name}, CPU ms each": seconds * 1000 / ran
            for name, seconds in figures["processor"].items()
        },
    }


def _killed(figures: Figures, _: Figures) -> dict[str, float | str]:
    after = figures["after_lease"]
    return {
        "all done, s after the kill": figures["seconds"],
        "s after the lease": "" if after is None else after,
    }


def _waiting(figures: Figures, none: Figures) -> dict[str, float | str]:
    waiting = figures["waiting"]
    if not waiting:
        return {}
    worker, server, postgres = (
        figures[each] - none[each] for each in ("worker", "server", "postgres")
    )
    alone = not figures["server"]
    return {
        **_wakes(figures),
        "worker MB": figures["worker"],
        "threads": figures["threads"],
        "server MB": "" if alone else figures["server"],
        "server +MB": "" if alone else server,
        "PostgreSQL +MB": postgres,
        "worker + server, KB each": (worker + server) * 1000 / waiting,
        "filled at, /s": figures["filled"] / figures["fill_seconds"],
    }


_ROWS: dict[str, Callable[[Figures, Figures], dict[str, float | str]]] = {
    "idle": _idle,
    "rested": _idle,
    "load": _load,
    "killed": _killed,
    "waiting": _waiting,
}


def _bounds(part: str, figures: Figures, row: dict[str, Any]) -> list[Bound]:
    match part:
        case "load":
            return [
                Bound(f"lifecycles a second, {IN_FLIGHT} in flight", row["lifecycles/s"], 350),
                Bound("wake p99 then, ms", row["wake p99 ms"], 60, at_least=False),
            ]
        case "killed":
            after = figures["after_lease"]
            return [Bound("taken over after the lease, s", after, 1, at_least=False)]
        case "waiting" if figures["waiting"] == WAITING_BOUND:
            what = f"with {WAITING_BOUND:,} waiting, MB"
            return [
                Bound(f"worker {what}", row["worker MB"], 100, at_least=False),
                Bound(f"server more {what}", row["server +MB"], 50, at_least=False),
            ]
    return []
