"""Reads people from a CSV file (RFC 4180, in UTF-8), and names line and column of what is wrong."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from application.directory import KnownPerson, record_command
from domain.authorization import COMMAND_LINE
from domain.directory.commands import email_problem, reserved_problem
from domain.directory.state import PersonSource
from domain.names import normal
from domain.validation import Problem, name, optional
from domain.values import Role

COLUMNS = ("id", "name", "emails", "groups", "roles")
SEPARATOR = ";"
MAX_SHOWN = 20


class FileError(Exception):
    """The file can't be taken. The message has a line for each problem, up to 20."""


class Line(NamedTuple):
    """A person, and the line of the file on which they end."""

    number: int
    person: KnownPerson


def read_people(path: Path) -> list[Line]:
    """Return the people of a file, in its order. Raises FileError with all that is wrong in it."""
    rows = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    problems: list[str] = []
    found: dict[str, Line] = {}
    try:
        _check_header(rows.fieldnames)
        for row in rows:
            number = rows.line_num
            told = list(_problems(row))
            id_ = normal(row["id"] or "")
            if not told and id_ in found:
                told = [("id", f"{id_!r} is on line {found[id_].number} already")]
            problems += [f"line {number}, column {column}: {said}" for column, said in told]
            if not told:
                found[id_] = Line(number, _person(row))
    except csv.Error as error:
        problems.append(f"line {rows.line_num}: this is not CSV: {error}")
    if problems:
        shown = [f"{path}, {problem}" for problem in problems[:MAX_SHOWN]]
        if len(problems) > MAX_SHOWN:
            shown.append(f"and {len(problems) - MAX_SHOWN} more problems")
        raise FileError("\n".join([*shown, "nothing was recorded"]))
    return list(found.values())


def _text(path: Path) -> str:
    try:
        given = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} can't be read: {error.strerror}") from None
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = given.count(b"\n", 0, error.start) + 1
        said = f"{path}, line {number}: this is not UTF-8; save the file as CSV in UTF-8"
        raise FileError(said) from None


def _check_header(given: object) -> None:
    known = ", ".join(COLUMNS)
    if not isinstance(given, list):
        raise FileError(f"the file is empty; its first line must name the columns: {known}")
    unknown = [str(column) for column in given if column not in COLUMNS]
    if unknown:
        raise FileError(f"line 1: there is no column {unknown[0]!r}; the columns are {known}")
    twice = [str(column) for column in given if given.count(column) > 1]
    if twice:
        raise FileError(f"line 1: the column {twice[0]!r} is there twice")
    if "id" not in given:
        raise FileError(f"line 1: the column id is missing; the columns are {known}")


def _problems(row: Mapping[str | None, str | list[str] | None]) -> Iterator[tuple[str, str]]:
    """Yield the columns with a problem, and what it is."""
    if row.get(None):
        yield "roles", f"there are more values than columns; several are separated by {SEPARATOR!r}"
        return
    if None in row.values():
        missing = next(str(column) for column, value in row.items() if value is None)
        yield missing, "the value is missing; an empty one needs its comma too"
        return
    checks: tuple[tuple[str, Problem], ...] = (
        ("id", name(_value(row, "id"), "it") or reserved_problem(_value(row, "id"), "the name")),
        ("name", optional(name, _value(row, "name") or None, "it")),
        *(("emails", email_problem(email)) for email in _values(row, "emails")),
        *(("groups", name(group, "it")) for group in _values(row, "groups")),
        *(("roles", _role_problem(role)) for role in _values(row, "roles")),
    )
    for column, problem in checks:
        if problem:
            yield column, problem
    if not any(problem for _, problem in checks) and (
        problem := record_command(COMMAND_LINE, _person(row)).problem
    ):
        yield "id", problem


def _role_problem(role: str) -> Problem:
    known = ", ".join(Role)
    return None if role in set(Role) else f"{role!r} is no role; the roles are {known}"


def _person(row: Mapping[str | None, str | list[str] | None]) -> KnownPerson:
    roles = _values(row, "roles") if "roles" in row else [Role.APPROVER]
    return KnownPerson(
        id=normal(_value(row, "id")),
        name=_value(row, "name") or None,
        emails=tuple(_values(row, "emails")),
        groups=frozenset(_values(row, "groups")),
        roles=frozenset(map(Role, roles)),
        source=PersonSource.ADMIN,
    )


def _value(row: Mapping[str | None, str | list[str] | None], column: str) -> str:
    value = row.get(column)
    return value.strip() if isinstance(value, str) else ""


def _values(row: Mapping[str | None, str | list[str] | None], column: str) -> list[str]:
    """Return the values of a column that may have several."""
    parts = (part.strip() for part in _value(row, column).split(SEPARATOR))
    return [part for part in parts if part]
