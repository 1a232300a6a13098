"""Builds what follows the log or the clock and sends commands."""

from datetime import timedelta

from api.calendars import definitions
from api.settings import Settings
from api.wiring.core import Core
from api.wiring.part import Part
from application.calendars_in_force import CalendarsInForce
from application.process_managers.cancellations import CancellationProcessManager
from application.process_managers.children import ChildProcessManager
from application.process_managers.standing_grants import StandingGrantProcessManager
from application.process_managers.timers import TimerProcessManager
from application.process_managers.unserved_workflows import UnservedWorkflows


def build_process_managers(settings: Settings, core: Core) -> tuple[Part, ...]:
    """Build the process managers, but for the one of notifications."""
    pool, writer, reader = core.pool, core.writer, core.reader
    tail, election = core.tail, core.election
    clean_up = timedelta(seconds=settings.clean_up_timeout)
    return (
        TimerProcessManager(pool, writer, tail, election),
        ChildProcessManager(pool, writer, reader, tail, election),
        StandingGrantProcessManager(pool, writer, reader, tail, election),
        CancellationProcessManager(pool, writer, election, clean_up),
        UnservedWorkflows(pool, election),
        CalendarsInForce(pool, writer, definitions(settings.calendars)),
    )
