"""The commands ``placet-server people``."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from api.command_line import Data, fail, operator, with_writer
from api.people_file import COLUMNS, SEPARATOR, FileError, read_people
from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.directory import Directory, KnownPerson

T = TypeVar("T")

AT_ONCE = 256
PAGE = 500

people = typer.Typer(
    help="Manage the people of the directory.", no_args_is_help=True, rich_markup_mode=None
)
Person = Annotated[str, typer.Argument(help="Id of the person.", metavar="ID")]
Reason = Annotated[str, typer.Option(help="Why; it is recorded with the event.")]


@people.command(
    "import",
    help="Record the people of a CSV file in UTF-8. Its first line names its columns: "
    f"{', '.join(COLUMNS)}. Only id is needed; several values are separated by {SEPARATOR!r}. "
    "Without the column roles, all have the role APPROVER. What was known of a person before is "
    "replaced; people who are not in the file stay as they are. If something in the file is wrong, "
    "nothing is recorded.",
)
def import_people(
    file: Annotated[Path, typer.Argument(help="The CSV file.")], data: Data = None
) -> None:
    """Record the people of a CSV file."""
    try:
        lines = read_people(file)
    except FileError as error:
        fail(str(error))

    async def work(directory: Directory) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(lines), AT_ONCE):
            some = [line.person for line in lines[start : start + AT_ONCE]]
            outcomes += await directory.record_all(operator(), some)
        return outcomes

    recorded = unchanged = 0
    refused: list[str] = []
    for line, outcome in zip(lines, _with_directory(data, work), strict=True):
        match outcome:
            case Accepted(repeated=True):
                unchanged += 1
            case Accepted():
                recorded += 1
            case _:
                refused.append(f"{file}, line {line.number}: {_said(outcome)}")
    typer.echo(f"{recorded} recorded, {unchanged} unchanged, {len(refused)} refused")
    if refused:
        fail("\n".join(refused))


@people.command("list")
def list_people(
    group: Annotated[str | None, typer.Option(help="Only those in this group.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Only those with this in their id, name or an address.")
    ] = None,
    active: Annotated[
        bool | None,
        typer.Option("--active/--deactivated", help="Only those that are so [default: all]."),
    ] = None,
    data: Data = None,
) -> None:
    """List people in the order of their ids, one JSON object per line."""

    async def work(directory: Directory) -> None:
        after = None
        while True:
            page = await directory.page(
                group=group, text=text, active=active, after=after, limit=PAGE
            )
            for person in page:
                typer.echo(json.dumps(_shown(person), ensure_ascii=False))
            if len(page) < PAGE:
                return
            after = page[-1].id

    _with_directory(data, work)


@people.command("deactivate")
def deactivate_person(person: Person, reason: Reason = "", data: Data = None) -> None:
    """End all API keys, tokens and sessions of a person. All servers do so within a second."""
    outcome = _with_directory(data, lambda known: known.deactivate(operator(), person, reason))
    _report(outcome, f"{person} is deactivated", f"{person} was deactivated before")


@people.command("reactivate")
def reactivate_person(person: Person, reason: Reason = "", data: Data = None) -> None:
    """Undo a deactivation."""
    outcome = _with_directory(data, lambda known: known.reactivate(operator(), person, reason))
    _report(outcome, f"{person} is active again", f"{person} is active")


def _with_directory(data: Path | None, work: Callable[[Directory], Awaitable[T]]) -> T:
    return with_writer(data, lambda pool, writer: work(Directory(pool, writer)))


def _report(outcome: Outcome, done: str, before: str) -> None:
    if not isinstance(outcome, Accepted):
        fail(_said(outcome))
    typer.echo(before if outcome.repeated else done)


def _said(outcome: Outcome) -> str:
    return outcome.message if isinstance(outcome, Refused) else str(outcome)


def _shown(person: KnownPerson) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(person, order="deterministic")
    # What SCIM says besides means nothing here.
    return {name: value for name, value in shown.items() if name != "details"}
