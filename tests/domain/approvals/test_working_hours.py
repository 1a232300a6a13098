"""Working time is counted by the clock of the calendar's zone, through weekends and changes."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.approvals.working_hours import DAY, Hours, Interval, WorkingHours

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def hours(begin: float, end: float) -> Hours:
    return Hours(begin * HOUR, end * HOUR)


def office(*spans: Hours, zone: ZoneInfo = BERLIN, holidays: tuple[date, ...] = ()) -> WorkingHours:
    """These hours from Monday to Friday."""
    return WorkingHours(zone, [list(spans)] * 5 + [[], []], holidays)


def always(*spans: Hours, zone: ZoneInfo = BERLIN) -> WorkingHours:
    """These hours on every day."""
    return WorkingHours(zone, [list(spans)] * 7)


def berlin(text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("begin", "span", "end"),
    [
        ("2026-03-02T10:00", 2 * HOUR, "2026-03-02T12:00"),
        ("2026-03-02T11:00", 2 * HOUR, "2026-03-02T14:00"),
        ("2026-03-02T16:00", 1 * HOUR, "2026-03-02T17:00"),
        ("2026-03-06T16:00", 2 * HOUR, "2026-03-09T10:00"),
        ("2026-03-07T03:00", 1 * HOUR, "2026-03-09T10:00"),
        ("2026-03-02T09:00", 35 * HOUR, "2026-03-06T17:00"),
    ],
    ids=["within", "over lunch", "to the end", "over the weekend", "from the weekend", "a week"],
)
def test_a_span_counts_only_working_time(begin: str, span: timedelta, end: str) -> None:
    calendar = office(hours(9, 12), hours(13, 17))
    assert calendar.after(berlin(begin), span) == berlin(end)


def test_reminders_are_counted_back_in_working_time() -> None:
    calendar = office(hours(9, 12), hours(13, 17))
    assert calendar.before(berlin("2026-03-09T10:00"), 2 * HOUR) == berlin("2026-03-06T16:00")
    assert calendar.before(berlin("2026-03-02T13:00"), HOUR) == berlin("2026-03-02T11:00")


def test_nobody_works_on_a_holiday() -> None:
    calendar = office(hours(9, 17), holidays=(date(2026, 3, 3), date(2026, 3, 4)))
    assert calendar.after(berlin("2026-03-02T16:00"), 2 * HOUR) == berlin("2026-03-05T10:00")


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    nights = office(hours(22, 30), holidays=(date(2026, 3, 3),))
    # From Monday evening into the holiday, and none from the evening of the holiday.
    assert nights.after(berlin("2026-03-02T23:00"), 7 * HOUR) == berlin("2026-03-03T06:00")
    assert nights.after(berlin("2026-03-03T05:00"), 2 * HOUR) == berlin("2026-03-04T23:00")
    # The night of Friday goes into Saturday.
    assert nights.after(berlin("2026-03-06T22:00"), 8 * HOUR) == berlin("2026-03-07T06:00")


def test_an_hour_that_a_clock_change_skips_is_not_worked() -> None:
    # On 29 March 2026 the clock goes from 02:00 to 03:00.
    assert always(hours(0, 24)).after(berlin("2026-03-29T00:00"), 5 * HOUR) == berlin(
        "2026-03-29T06:00"
    )
    gap = always(hours(1.5, 2.5))
    assert gap.after(berlin("2026-03-29T00:00"), HOUR) == berlin("2026-03-30T02:00")
    # From 02:30, which is not there: the clock shows it to be over as soon as it shows 03:00.
    assert always(hours(2.5, 4)).after(berlin("2026-03-29T00:00"), HOUR) == berlin(
        "2026-03-29T04:00"
    )


def test_an_hour_that_a_clock_change_repeats_counts_twice() -> None:
    # On 25 October 2026 the clock goes from 03:00 to 02:00.
    assert always(hours(0, 24)).after(berlin("2026-10-25T00:00"), 5 * HOUR) == berlin(
        "2026-10-25T04:00"
    )
    nights = always(hours(22, 30))
    assert nights.after(berlin("2026-10-24T22:00"), 9 * HOUR) == berlin("2026-10-25T06:00")
    repeated = always(hours(2, 3))
    assert repeated.after(berlin("2026-10-25T00:00"), 2 * HOUR) == berlin("2026-10-25T03:00")


def test_a_day_that_a_zone_skips_has_no_working_time() -> None:
    # Samoa went from 29 to 31 December 2011.
    samoa = always(hours(9, 17), zone=ZoneInfo("Pacific/Apia"))
    worked = [
        i for i in samoa.of_year(2011) if i.begin.astimezone(ZoneInfo("Pacific/Apia")).day >= 29
    ]
    days = [i.begin.astimezone(ZoneInfo("Pacific/Apia")).date() for i in worked]
    assert date(2011, 12, 30) not in days


def test_what_takes_longer_than_ten_years_has_no_end() -> None:
    seldom = WorkingHours(BERLIN, [[hours(9, 9.1)], *[[]] * 6])
    assert seldom.after(berlin("2026-03-02T10:00"), 100 * HOUR) is None
    assert seldom.before(berlin("2026-03-02T10:00"), 100 * HOUR) is None


# Zones with a change of an hour at night, of half an hour, at midnight, and in the other half year.
ZONES = (
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/Santiago",
    "Asia/Kolkata",
)
CHANGES = [
    *((2026, 3, 8), (2026, 3, 29), (2026, 4, 5), (2026, 9, 6), (2026, 10, 4), (2026, 10, 25)),
    (2026, 11, 1),
]


@st.composite
def calendars(draw: st.DrawFn) -> WorkingHours:
    def day() -> list[Hours]:
        marks = sorted(draw(st.sets(st.integers(0, 96), max_size=4)))
        return [
            Hours(a * 15 * MINUTE, b * 15 * MINUTE)
            for a, b in zip(marks[::2], marks[1::2], strict=False)
        ]

    week = [day() for _ in range(7)]
    eve = draw(st.integers(0, 6))
    if not week[(eve + 1) % 7]:
        last = week[eve][-1].end if week[eve] else 20 * HOUR
        week[eve] += [Hours(last, DAY + 4 * HOUR)] if last < DAY else []
    if not any(week):
        week[eve] = [hours(9, 17)]
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    change = date(*draw(st.sampled_from(CHANGES)))
    nearby = st.integers(-7, 7).map(lambda days: change + timedelta(days=days))
    return WorkingHours(zone, week, draw(st.sets(nearby, max_size=3)))


near_a_change = st.builds(
    lambda day, minutes: datetime.combine(date(*day), time(), UTC) + minutes * MINUTE,
    st.sampled_from(CHANGES),
    st.integers(-4000, 4000),
)
spans = st.integers(1, 6000).map(lambda minutes: minutes * MINUTE)


def shows_hours(calendar: WorkingHours, moment: datetime) -> bool:
    """Say by the clock alone whether a moment is working time."""
    local = moment.astimezone(calendar._zone)
    clock = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    today, eve = local.date(), local.date() - DAY
    return any(
        day not in calendar._holidays
        and any(begin <= clock + since < end for begin, end in calendar._week[day.weekday()])
        for day, since in ((today, timedelta()), (eve, DAY))
    )


def worked(calendar: WorkingHours, begin: datetime, end: datetime) -> timedelta:
    """Sum the working time between two moments, minute by minute."""
    minutes = int((end - begin) / MINUTE)
    return MINUTE * sum(shows_hours(calendar, begin + n * MINUTE) for n in range(minutes))


@settings(max_examples=60)
@given(calendars(), near_a_change)
def test_working_time_is_when_the_clock_shows_it(calendar: WorkingHours, begin: datetime) -> None:
    intervals = [*calendar.of_year(2025), *calendar.of_year(2026), *calendar.of_year(2027)]
    near = [i for i in intervals if i.end > begin and i.begin < begin + 2 * DAY]
    for minute in range(2 * 24 * 60):
        moment = begin + minute * MINUTE
        inside = any(i.begin <= moment < i.end for i in near)
        assert inside == shows_hours(calendar, moment), moment


@settings(max_examples=60)
@given(calendars(), near_a_change, spans)
def test_the_working_time_until_the_end_is_the_span(
    calendar: WorkingHours, begin: datetime, span: timedelta
) -> None:
    end = calendar.after(begin, span)
    if end is None or end - begin > 20 * DAY:
        return
    assert worked(calendar, begin, end) == span
    assert shows_hours(calendar, end - MINUTE), "it never ends outside of working hours"
    back = calendar.before(end, span)
    assert back is not None
    assert begin <= back
    assert worked(calendar, back, end) == span
    assert shows_hours(calendar, back)


@settings(max_examples=60)
@given(calendars(), near_a_change, spans, spans)
def test_later_begins_and_longer_spans_never_end_earlier(
    calendar: WorkingHours, begin: datetime, span: timedelta, more: timedelta
) -> None:
    end, of_more = calendar.after(begin, span), calendar.after(begin, span + more)
    later = calendar.after(begin + more, span)
    if end is None or of_more is None or later is None:
        return
    assert begin < end < of_more
    assert end <= later


def test_intervals_of_a_year_follow_one_another() -> None:
    for zone in ZONES:
        intervals: list[Interval] = always(hours(0, 24), zone=ZoneInfo(zone)).of_year(2026)
        assert all(a.end == b.begin for a, b in pairwise(intervals))
        assert sum((i.end - i.begin for i in intervals), timedelta()) == 365 * DAY
