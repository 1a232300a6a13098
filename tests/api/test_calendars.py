"""The file of calendars: what it may say, and what the server says that it can't start with."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.calendars import load_calendars
from api.settings import ConfigurationError
from tests.api.whole_server import START, WholeServer

HOUR = timedelta(hours=1)
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "operations.md"
FILE = """
[calendars.office]
zone = "Europe/Berlin"

[calendars.office.hours]
monday = ["13:00-17:00", "08:00-12:00"]
tuesday = ["08:00-12:00"]
friday = ["22:00-06:00"]

[calendars.office.holidays]
country = "DE"
subdivision = "BE"
add = [2026-12-22]
remove = [2026-12-25]
"""


def written(directory: Path, text: str) -> Path:
    file = directory / "calendars.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_calendar_has_hours_for_each_weekday_and_holidays(tmp_path: Path) -> None:
    office = load_calendars(written(tmp_path, FILE))["office"]

    def after(day: int, hours: int) -> datetime | None:
        return office.after(datetime(2026, 12, day, 6, tzinfo=UTC), hours * HOUR)

    assert after(21, 5) == datetime(2026, 12, 21, 13, tzinfo=UTC)
    # Tuesday the 22nd was added, and the night of Christmas taken away from the holidays.
    assert after(21, 10) == datetime(2026, 12, 25, 23, tzinfo=UTC)
    assert after(21, 17) == datetime(2026, 12, 28, 8, tzinfo=UTC)
    # New Year's Day is one of them.
    assert office.after(datetime(2026, 12, 30, tzinfo=UTC), HOUR) == datetime(
        2027, 1, 4, 8, tzinfo=UTC
    )


def test_the_example_of_the_documentation_is_a_file_of_calendars(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert set(load_calendars(written(tmp_path, example))) == {"office", "night-desk"}


def test_there_are_no_calendars_without_a_file() -> None:
    assert load_calendars(None) == {}


REMOVES = 'holidays = { country = "DE", remove = [2026-12-27] }'
ZONE = 'zone = "Europe/Berlin"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[calendars.a", "is not TOML"),
        ("", "calendars: Field required"),
        ("[calendar.a]", "calendar: there is nothing of this name"),
        (f"[calendars.a]\n{ZONE}", "calendars.a.hours: Field required"),
        ("[calendars.a]\nhours = {}", "calendars.a.zone: Field required"),
        ('[calendars.a]\nzone = "Mars"', "calendars.a.zone: 'Mars' is no time zone"),
        (f"[calendars.a]\n{ZONE}hours = {{}}", "calendars.a.hours: no weekday has hours"),
        (f"[calendars.a]\n{ZONE}hours.mon = []", "calendars.a.hours.mon: there is nothing of"),
        (f'[calendars.a]\n{ZONE}hours.monday = "9-17"', "calendars.a.hours.monday: "),
        (f'[calendars.a]\n{ZONE}hours.monday = ["9-17"]', "hours.monday.0: '9-17' is no span"),
        (f'[calendars.a]\n{ZONE}hours.monday = ["09:00-25:00"]', "has the times 00:00 to 24:00"),
        (f'[calendars.a]\n{ZONE}hours.monday = ["09:00-09:00"]', "is empty"),
        (
            f'[calendars.a]\n{ZONE}hours.monday = ["09:00-12:00", "11:00-13:00"]',
            "calendars.a.hours: hours of monday overlap with hours of monday",
        ),
        (
            f'[calendars.a]\n{ZONE}hours.sunday = ["22:00-06:00"]\nhours.monday = ["05:00-09:00"]',
            "calendars.a.hours: hours of sunday overlap with hours of monday",
        ),
        (
            f'[calendars.a]\n{ZONE}hours.monday = ["09:00-17:00"]\nholidays.country = "ZZ"',
            "calendars.a.holidays: Country ZZ not available",
        ),
        (
            f'[calendars.a]\n{ZONE}hours.monday = ["09:00-17:00"]\nholidays.subdivision = "BE"',
            "calendars.a.holidays: subdivision needs country",
        ),
        (
            f'[calendars.a]\n{ZONE}hours.monday = ["09:00-17:00"]\n{REMOVES}',
            "calendars.a.holidays: remove: 2026-12-27 is not a holiday there",
        ),
        (f'[calendars." "]\n{ZONE}hours.monday = ["09:00-17:00"]', "must not be empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_calendars(file)
    assert str(caught.value).startswith(f"PLACET_CALENDARS: {file}")
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml can't be read: No such file"):
        load_calendars(tmp_path / "nowhere.toml")


REQUEST = """
mutation ($input: RequestApprovalInput!) {
  requestApproval(input: $input) {
    __typename
    ... on Refused { code message }
    approval { requestedAt deadline document policy { calendar within } }
  }
}
"""


async def test_a_request_gets_its_deadline_in_the_calendar_that_it_names(
    log_url: str, tmp_path: Path
) -> None:
    file = written(tmp_path, FILE)
    async with WholeServer.open(log_url, calendars=file) as server:
        started = await server.post(
            {"query": START, "variables": {"input": {"workflow": "travel"}}}
        )
        execution = started.json()["data"]["startExecution"]["execution"]["id"]

        async def ask(calendar: str) -> dict[str, object]:
            policy = {
                "requirements": [{"groups": ["finance"]}],
                "within": "PT20H",
                "calendar": calendar,
            }
            asked = {
                "executionId": execution,
                "key": "trip",
                "title": "Trip",
                "payload": {"cost": 1},
                "policy": policy,
            }
            body = {"query": REQUEST, "variables": {"input": asked}}
            result: dict[str, object] = (await server.post(body, "engine")).json()["data"]
            return result["requestApproval"]  # type: ignore[return-value]

        unknown = await ask("factory")
        assert unknown["code"] == "INVALID_INPUT"
        assert "policy.calendar names 'factory'" in str(unknown["message"])

        approval = (await ask("office"))["approval"]
        assert isinstance(approval, dict)
        assert approval["policy"] == {"calendar": "office", "within": "PT72000S"}
        assert approval["document"]["policy"]["calendar"] == "office"
        begin, deadline = (
            datetime.fromisoformat(approval[name]) for name in ("requestedAt", "deadline")
        )
        assert deadline == load_calendars(file)["office"].after(begin, 20 * HOUR)
