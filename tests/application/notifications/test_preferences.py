"""Quiet hours and digests by the person's clock, also where it is put forward and back."""

from datetime import UTC, datetime
from typing import Any

import pytest

from application.notifications.preferences import Preferences

NIGHT = Preferences(quiet_from="22:00", quiet_until="07:30", time_zone="Europe/Berlin")
EARLY = Preferences(quiet_from="23:30", quiet_until="02:30", time_zone="Europe/Berlin")
NOON = Preferences(quiet_from="12:00", quiet_until="13:00", time_zone="Asia/Kolkata")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("preferences", "now", "told"),
    [
        (NIGHT, "2026-01-10 12:00", "2026-01-10 12:00"),
        (NIGHT, "2026-01-10 21:00", "2026-01-11 06:30"),
        (NIGHT, "2026-01-11 05:00", "2026-01-11 06:30"),
        (NIGHT, "2026-01-11 06:30", "2026-01-11 06:30"),
        # The night in which the clock is put forward, and that in which it is put back.
        (NIGHT, "2026-03-28 23:00", "2026-03-29 05:30"),
        (NIGHT, "2026-10-24 22:00", "2026-10-25 06:30"),
        # Until a time that is skipped, and until one that comes twice: at its first or its second.
        (EARLY, "2026-03-28 23:00", "2026-03-29 01:30"),
        (EARLY, "2026-10-24 23:00", "2026-10-25 00:30"),
        (EARLY, "2026-10-25 01:10", "2026-10-25 01:30"),
        (EARLY, "2026-10-25 01:30", "2026-10-25 01:30"),
        (NOON, "2026-01-10 06:45", "2026-01-10 07:30"),
        (NOON, "2026-01-10 08:00", "2026-01-10 08:00"),
        (Preferences(), "2026-01-10 03:00", "2026-01-10 03:00"),
    ],
)
def test_in_quiet_hours_a_person_is_told_at_their_end(
    preferences: Preferences, now: str, told: str
) -> None:
    assert preferences.first_moment(at(now)) == at(told)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-10 06:00", "2026-01-10 07:00"),
        # It may be on its way already.
        ("2026-01-10 06:59:30", "2026-01-11 07:00"),
        ("2026-01-10 07:00", "2026-01-11 07:00"),
        ("2026-06-10 05:00", "2026-06-10 06:00"),
    ],
)
def test_a_digest_is_due_once_a_day(now: str, due: str) -> None:
    preferences = Preferences(time_zone="Europe/Berlin")
    assert preferences.next_digest(at(now)) == at(due)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        # That night the clock goes from 02:00 to 03:00, so there is no 02:30.
        ("2026-03-28 12:00", "2026-03-29 01:30"),
        ("2026-03-29 01:30", "2026-03-30 00:30"),
        # That night there are two of them. The digest comes at the first, and once.
        ("2026-10-24 12:00", "2026-10-25 00:30"),
        ("2026-10-25 00:30", "2026-10-26 01:30"),
        ("2026-10-25 01:10", "2026-10-26 01:30"),
    ],
)
def test_a_digest_comes_once_also_in_a_night_in_which_the_clock_is_changed(
    now: str, due: str
) -> None:
    preferences = Preferences(digest_at="02:30", time_zone="Europe/Berlin")
    assert preferences.next_digest(at(now)) == at(due)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"digest_at": "8:00"}, "digestAt"),
        ({"digest_at": "24:00"}, "digestAt"),
        ({"quiet_from": "22:00"}, "quietFrom and quietUntil belong together"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "must differ"),
        ({"time_zone": "Mars/Olympus"}, "timeZone"),
        ({"time_zone": "../../etc/passwd"}, "timeZone"),
        ({"time_zone": ""}, "timeZone"),
    ],
)
def test_what_is_wrong_with_preferences_is_named(wrong: dict[str, Any], named: str) -> None:
    problem = Preferences(**wrong).problem()
    assert problem is not None
    assert named in problem
