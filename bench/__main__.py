"""``make bench``: runs the benchmarks, prints their tables and writes a JSON file."""

import asyncio
import json
import signal
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from api.embedded_postgres.supervisor import embedded_database
from bench import (
    asking,
    attacks,
    commands,
    console,
    deciding,
    folding,
    graphql,
    growth,
    lifecycle,
    mishaps,
    pages,
    projecting,
    telling,
    waiting,
    wakeup,
    waking,
)
from bench.measure import machine, markdown, show
from bench.rivals.drive import CONTENDERS
from bench.rivals.parts import Sizes
from bench.temporary_database import database

SUITES = {
    "commands": commands.run,
    "asking": asking.run,
    "attacks": attacks.run,
    "wakeup": wakeup.run,
    "waking": waking.run,
    "waiting": waiting.run,
    "mishaps": mishaps.run,
    "lifecycle": lifecycle.run,
    "projecting": projecting.run,
    "folding": folding.run,
    "deciding": deciding.run,
    "graphql": graphql.run,
    "pages": pages.run,
    "console": console.run,
    "telling": telling.run,
    "growth": growth.run,
}
STANDARD = [name for name in SUITES if name != "growth"]
"""Run if none is named. Growth takes some twenty minutes and 15 GB."""
RESULTS = Path(__file__).parent / "results"


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Suites: " + ", ".join(SUITES), show_default=False)
    ] = None,
    contender: Annotated[
        list[str] | None,
        typer.Option(help="For lifecycle: " + ", ".join(CONTENDERS), show_default=False),
    ] = None,
    how_many: Annotated[
        list[int] | None,
        typer.Option(
            "--waiting",
            help="For lifecycle, how many executions wait: "
            + ", ".join(map(str, Sizes.waiting))
            + ", and with Placet 100000",
            min=1,
            show_default=False,
        ),
    ] = None,
    events: Annotated[
        int, typer.Option(help="For growth, how many events the log has at the end.", min=16)
    ] = growth.EVENTS,
    *,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for the documentation.")
    ] = False,
) -> None:
    """Run the benchmarks. If none is named: all but growth, which takes long."""
    for what, wrong in (
        ("suite", set(names or ()) - SUITES.keys()),
        ("contender", set(contender or ()) - CONTENDERS.keys()),
    ):
        if wrong:
            sys.exit(f"bench: there is no {what} {', '.join(sorted(wrong))}; see --help")
    suites = SUITES | {
        "growth": partial(growth.run, events=events),
        "lifecycle": partial(
            lifecycle.run,
            contenders=contender or tuple(CONTENDERS),
            sizes=Sizes(waiting=sorted(set(how_many))) if how_many else None,
        ),
    }
    # SIGTERM works like Ctrl-C, so that all processes are ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    now = datetime.now(UTC)
    measured: dict[str, Any] = {}
    missed = 0
    with (
        tempfile.TemporaryDirectory(prefix="placet-bench-") as data,
        embedded_database(Path(data)) as server,
    ):
        for name in names or STANDARD:
            with database(server, name) as url:
                result = asyncio.run(suites[name](url))
            if as_markdown:
                print(markdown(result), end="\n\n")
            else:
                show(result)
            missed += sum(not bound.held for bound in result.bounds)
            measured[name] = result.as_json()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    report = {
        "at": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "suites": measured,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {path}; {missed} bounds missed" if missed else f"written to {path}")


if __name__ == "__main__":
    typer.run(main)
