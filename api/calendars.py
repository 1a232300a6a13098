"""The calendars in which deadlines count: working hours and holidays, from a TOML file.

See docs/operations.md for the file. It is read once, when the server starts.
"""

import re
import tomllib
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from api.settings import PREFIX, ConfigurationError
from domain import validation
from domain.approvals.working_hours import DAY, Hours, WorkingHours

_HOURS = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_MINUTES = 60


def load_calendars(file: Path | None) -> dict[str, WorkingHours]:
    """Read the calendars by their names; none without a file.

    Raises ConfigurationError, which names the file and all that is wrong in it.
    """
    if file is None:
        return {}
    where = f"{PREFIX}CALENDARS: {file}"
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{where} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where} is not TOML: {error}") from None
    try:
        calendars = _File.model_validate(given).calendars
    except ValidationError as error:
        raise ConfigurationError(f"{where} is wrong:\n{_explain(error)}") from None
    return {name: calendar.working_hours() for name, calendar in calendars.items()}


def definitions(file: Path | None) -> dict[str, Any]:
    """Return the tables of the calendars as JSON, by their names. The file must be right.

    One that has the holidays of a country also has the version of the library that knows them.
    """
    if file is None:
        return {}
    tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["calendars"]
    plain: dict[str, Any] = msgspec.to_builtins(tables)
    return {
        name: {**table, "library": f"holidays {version('holidays')}"}
        if "country" in table.get("holidays", {})
        else table
        for name, table in plain.items()
    }


def _hours(given: object) -> Hours:
    found = _HOURS.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise ValueError(f'{given!r} is no span of hours: write "09:00-17:30"')
    begin, end = (timedelta(hours=int(found[at]), minutes=int(found[at + 1])) for at in (1, 3))
    if begin >= DAY or end > DAY or int(found[2]) >= _MINUTES or int(found[4]) >= _MINUTES:
        raise ValueError(f"{given!r}: a day has the times 00:00 to 24:00")
    if begin == end:
        raise ValueError(f'{given!r} is empty: write "00:00-24:00" for a whole day')
    return Hours(begin, end if end > begin else end + DAY)


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone: give one by its name, such as Europe/Berlin"
        ) from None


def _name(name: str) -> str:
    if problem := validation.name(name, "the name of a calendar"):
        raise ValueError(problem)
    return name


def _begins(hours: list[Hours]) -> list[Hours]:
    return sorted(hours)


_Spans = Annotated[
    list[Annotated[Hours, PlainValidator(_hours)]], AfterValidator(_begins), Field(default=[])
]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Week(_Table):
    """The hours of each weekday, in order."""

    monday: _Spans
    tuesday: _Spans
    wednesday: _Spans
    thursday: _Spans
    friday: _Spans
    saturday: _Spans
    sunday: _Spans

    @property
    def days(self) -> list[tuple[str, Sequence[Hours]]]:
        """The weekdays with their hours, Monday first."""
        return [(name, getattr(self, name)) for name in type(self).model_fields]

    @model_validator(mode="after")
    def _have_hours_without_overlap(self) -> "_Week":
        days = self.days
        if not any(hours for _, hours in days):
            raise ValueError("no weekday has hours, so no deadline would ever come")
        for (name, hours), (next_name, next_hours) in zip(days, days[1:] + days[:1], strict=True):
            both = [(name, span) for span in hours]
            both += [(next_name, Hours(*(DAY + at for at in span))) for span in next_hours[:1]]
            for (first, one), (second, other) in pairwise(both):
                if other.begin < one.end:
                    raise ValueError(f"hours of {first} overlap with hours of {second}")
        return self


class _Holidays(_Table):
    """The holidays of a country or a part of it, and dates that are added or taken away."""

    country: str | None = None
    subdivision: str | None = None
    add: list[date] = []
    remove: list[date] = []

    def dates(self) -> Container[date]:
        """Return the holidays. Raises ValueError for what is not known."""
        return _Dates(self._of_country(), frozenset(self.add), frozenset(self.remove))

    @model_validator(mode="after")
    def _are_known(self) -> "_Holidays":
        if self.country is None and self.subdivision is not None:
            raise ValueError("subdivision needs country")
        country = self._of_country()
        for day in self.remove:
            if day not in country:
                raise ValueError(f"remove: {day} is not a holiday there")
        return self

    def _of_country(self) -> Container[date]:
        if self.country is None:
            return ()
        # Imported here because it takes longer than all else that a server without it does.
        import holidays  # noqa: PLC0415

        try:
            return holidays.country_holidays(self.country, subdiv=self.subdivision)
        except NotImplementedError as error:
            raise ValueError(f"{error}; see the documentation of the library holidays") from None


class _Dates:
    """The holidays of a country, with the dates that a calendar adds and takes away."""

    def __init__(
        self, country: Container[date], added: frozenset[date], removed: frozenset[date]
    ) -> None:
        self._country = country
        self._added = added
        self._removed = removed

    def __contains__(self, day: object) -> bool:
        return day in self._added or (day not in self._removed and day in self._country)


class _Calendar(_Table):
    zone: Annotated[ZoneInfo, PlainValidator(_zone)]
    hours: _Week
    holidays: _Holidays = _Holidays()

    def working_hours(self) -> WorkingHours:
        """Return the calendar with this year and the next, which requests need first."""
        week = [hours for _, hours in self.hours.days]
        made = WorkingHours(self.zone, week, self.holidays.dates())
        this_year = datetime.now(UTC).year
        for year in (this_year, this_year + 1):
            made.of_year(year)
        return made


class _File(_Table):
    calendars: Mapping[Annotated[str, AfterValidator(_name)], _Calendar]


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is nothing of this name"
        lines.append(f"  {path}: {message}" if path else f"  {message}")
    return "\n".join(lines)
