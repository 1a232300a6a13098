"""``make bench``: every suite with all its sides in one run, as a table and as a JSON file."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.conninfo import make_conninfo

from api.embedded import embedded_database
from bench import commands, folding, graphql, mishaps, pages, projecting, waiting, wakeup
from bench.measure import machine, markdown, show

SUITES = {
    "commands": commands.run,
    "wakeup": wakeup.run,
    "waiting": waiting.run,
    "mishaps": mishaps.run,
    "projecting": projecting.run,
    "folding": folding.run,
    "graphql": graphql.run,
    "pages": pages.run,
}
RESULTS = Path(__file__).parent / "results"


@contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Give a fresh database on the server, and drop it afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE bench_{name}")
        yield make_conninfo(server, dbname=f"bench_{name}")
        connection.execute(f"DROP DATABASE bench_{name} WITH (FORCE)")


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Suites: " + ", ".join(SUITES), show_default=False)
    ] = None,
    *,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print for a page of the documentation.")
    ] = False,
) -> None:
    """Run the benchmarks, all of them if none is named."""
    unknown = set(names or ()) - SUITES.keys()
    if unknown:
        sys.exit(f"bench: there is no suite {', '.join(sorted(unknown))}; see --help")
    now = datetime.now(UTC)
    measured: dict[str, Any] = {}
    missed = 0
    with (
        tempfile.TemporaryDirectory(prefix="placet-bench-") as data,
        embedded_database(Path(data)) as server,
    ):
        for name in names or SUITES:
            with database(server, name) as url:
                result = asyncio.run(SUITES[name](url))
            if as_markdown:
                print(markdown(result), end="\n\n")
            else:
                show(result)
            missed += sum(not claim.held for claim in result.claims)
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
