"""Which calendars are in force is recorded when a server starts, and only if it has changed."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.calendars import definitions, load_calendars
from application.calendars_in_force import CalendarsInForce
from domain.directory.calendars import RecordCalendar
from domain.directory.events import CalendarChanged
from domain.identifiers import calendar_stream_id
from domain.refusals import RefusalCode
from tests.application.server_process import ServerProcess, refused
from tests.domain.people import ADAM
from tests.support.audit import findings

FILE = """
[calendars.office]
zone = "Europe/Berlin"
hours.monday = ["09:00-17:00"]
[calendars.office.holidays]
country = "DE"
add = [2026-12-24]
"""


async def start(process: ServerProcess, calendars: dict[str, Any]) -> None:
    await CalendarsInForce(process.pool, process.writer, calendars).start()


async def test_a_calendar_that_changes_or_ends_is_recorded_by_the_server(
    process: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "calendars.toml"
    file.write_text(FILE)
    assert load_calendars(file).keys() == {"office"}
    calendars = definitions(file)
    assert calendars["office"]["holidays"] == {"country": "DE", "add": ["2026-12-24"]}
    assert calendars["office"]["library"].startswith("holidays ")

    for given in (calendars, calendars, {"office": {"zone": "UTC"}}, {}, {}, calendars):
        await start(process, given)
    events = [e.recorded for e in await process.reader.history(calendar_stream_id("office"))]
    assert {each.actor.id for each in events} == {"placet"}
    found = [each.event.definition for each in events if isinstance(each.event, CalendarChanged)]
    assert found == [calendars["office"], {"zone": "UTC"}, None, calendars["office"]]


async def test_nobody_else_records_a_calendar(process: ServerProcess) -> None:
    [outcome] = await process.send(RecordCalendar(by=ADAM, name="office", definition={}))
    refused(outcome, RefusalCode.FORBIDDEN)


@pytest.mark.unsound
async def test_verify_finds_a_calendar_that_was_changed_in_its_table(
    process: ServerProcess, log_url: str
) -> None:
    await start(process, {"office": {"zone": "UTC"}})
    with psycopg.connect(log_url) as connection:
        connection.execute("""UPDATE calendars SET definition = '{"zone": "Asia/Tokyo"}'""")
    [found] = findings(log_url)
    assert found.startswith("calendars: calendar ")
