"""Results of benchmarks: percentiles, tables, and figures with bounds."""

import math
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Column, Table


@dataclass(frozen=True)
class Row:
    """One row of a result: what was measured, and the figures by column."""

    what: str
    figures: dict[str, float | str]


@dataclass(frozen=True)
class Bound:
    """A figure with its lower bound, or its upper bound if ``at_least`` is false."""

    what: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def held(self) -> bool:
        """Whether the bound is kept."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass
class Result:
    """The result of one suite."""

    title: str
    rows: list[Row] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, **figures: float | str) -> None:
        """Add a row."""
        self.rows.append(Row(what, figures))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        bounds = [{**asdict(bound), "held": bound.held} for bound in self.bounds]
        return {**asdict(self), "claims": bounds}


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile by the nearest-rank method. ``share`` is from 0 to 1."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def milliseconds(seconds: Sequence[float]) -> dict[str, float | str]:
    """Return percentiles of latencies, given in seconds, as columns in milliseconds."""
    return {
        "p50 ms": percentile(seconds, 0.5) * 1000,
        "p90 ms": percentile(seconds, 0.9) * 1000,
        "p99 ms": percentile(seconds, 0.99) * 1000,
        "n": len(seconds),
    }


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """Describe the machine, without its name."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "architecture": platform.machine(),
    }


def show(result: Result) -> None:
    """Print a result as tables with its bounds. Rows with other columns make another table."""
    console = Console(highlight=False, width=None if os.isatty(1) else 140)
    console.print(result.title, style="italic")
    for (first, *columns), *rows in _tables(result):
        table = Table(Column(first, no_wrap=True), *columns, box=None)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in [*map(_line, result.bounds), *result.notes]:
        console.print(f"  {line}")
    console.print()


def markdown(result: Result) -> str:
    """Return a result as Markdown, for the documentation."""
    tables = []
    for header, *rows in _tables(result):
        aligned = ["---", *["---:"] * (len(header) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (header, aligned, *rows)]
        tables.append("\n".join(lines))
    bounds = [f"- {_line(bound)}" for bound in result.bounds]
    blocks = [f"**{result.title}**", *tables, "\n".join(bounds), *result.notes]
    return "\n\n".join(block for block in blocks if block)


def _tables(result: Result) -> Iterator[list[list[str]]]:
    """Yield the tables, each as its header and its lines.

    A row belongs to the table before it if they have a column in common.
    """
    groups: list[tuple[list[str], list[Row]]] = []
    for row in result.rows:
        columns = list(row.figures)
        last = groups[-1][0] if groups else []
        if set(columns) & set(last):
            last += [name for name in columns if name not in last]
            groups[-1][1].append(row)
        else:
            groups.append((columns, [row]))
    for columns, rows in groups:
        lines = [[r.what, *(_cell(r.figures.get(name, "")) for name in columns)] for r in rows]
        yield [["", *columns], *lines]


def _line(bound: Bound) -> str:
    word = "at least" if bound.at_least else "at most"
    verdict = "held" if bound.held else "MISSED"
    return f"{bound.what}: {_cell(bound.value)} ({word} {bound.bound:g}) {verdict}"


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
