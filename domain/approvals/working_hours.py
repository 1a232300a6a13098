"""Working hours: the moments that count when a span is counted in a calendar.

A moment is working time if the clock of the calendar's zone then shows a time within the hours of
that day. So hours that a clock change skips are not worked, and hours that it repeats count twice.
Hours over midnight belong to the day on which they begin: if that is a holiday, none of them count.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from operator import attrgetter
from typing import NamedTuple

LONGEST = timedelta(days=3653)
"""How far from a moment its calendar is read: ten years."""
DAY = timedelta(days=1)
# Clocks are at most 12 hours behind UTC and 14 ahead of it.
_BEFORE_ANY_CLOCK, _AFTER_ANY_CLOCK = timedelta(hours=15), timedelta(hours=13)
_EXACT = timedelta(seconds=1)


class Hours(NamedTuple):
    """A span of a day by the clock. ``end`` is over 24 hours if the span goes over midnight."""

    begin: timedelta
    end: timedelta


class Interval(NamedTuple):
    """Working time from one moment to another, both in UTC."""

    begin: datetime
    end: datetime


class WorkingHours:
    """The working time of one calendar.

    ``week`` has the hours of each weekday, Monday first, in order and without overlap, which at
    least one day must have. On ``holidays`` no hours begin. Each year is computed once.
    """

    def __init__(
        self, zone: tzinfo, week: Sequence[Sequence[Hours]], holidays: Container[date] = ()
    ) -> None:
        self._zone = zone
        self._week = week
        self._holidays = holidays
        self._years: dict[int, list[Interval]] = {}

    def after(self, begin: datetime, span: timedelta) -> datetime | None:
        """Return when the span of working time is over that begins now; None after ten years."""
        left = span
        for year in range((begin - DAY).year, (begin + LONGEST).year + 1):
            intervals = self.of_year(year)
            for interval in intervals[bisect_right(intervals, begin, key=attrgetter("end")) :]:
                start = max(interval.begin, begin)
                if interval.end - start >= left:
                    return start + left
                left -= interval.end - start
        return None

    def before(self, end: datetime, span: timedelta) -> datetime | None:
        """Return when to begin to work the span until the end; None if over ten years earlier."""
        left = span
        for year in range((end + DAY).year, (end - LONGEST).year - 1, -1):
            intervals = self.of_year(year)
            for interval in reversed(
                intervals[: bisect_left(intervals, end, key=attrgetter("begin"))]
            ):
                finish = min(interval.end, end)
                if finish - interval.begin >= left:
                    return finish - left
                left -= finish - interval.begin
        return None

    def of_year(self, year: int) -> list[Interval]:
        """Return the working time of the days of a year, in order."""
        known = self._years.get(year)
        if known is None:
            first = date(year, 1, 1)
            days = date(year + 1, 1, 1) - first
            known = sorted(
                interval
                for number in range(days.days)
                for interval in self._of_day(first + timedelta(days=number))
            )
            self._years[year] = known
        return known

    def _of_day(self, day: date) -> list[Interval]:
        """Return when the clock shows the hours that count on a day."""
        hours = self._shown_on(day)
        if not hours:
            return []
        midnight = datetime.combine(day, time(), UTC)
        earlier, later = midnight - _BEFORE_ANY_CLOCK, midnight + DAY + _AFTER_ANY_CLOCK
        offset, then = self._offset(earlier), self._offset(later)
        shown = [Interval(midnight + begin, midnight + end) for begin, end in hours]
        if offset == then:
            return [Interval(begin - offset, end - offset) for begin, end in shown]
        change = self._change_between(earlier, later)
        until = [Interval(begin - offset, min(end - offset, change)) for begin, end in shown]
        since = [Interval(max(begin - then, change), end - then) for begin, end in shown]
        return [interval for interval in until + since if interval.begin < interval.end]

    def _shown_on(self, day: date) -> list[Hours]:
        """Return the hours by the clock that count on a day, from midnight to midnight."""
        eve = day - DAY
        night = [] if eve in self._holidays else self._week[eve.weekday()]
        hours = [Hours(timedelta(0), end - DAY) for _, end in night if end > DAY]
        if day not in self._holidays:
            today = self._week[day.weekday()]
            hours += [Hours(begin, min(end, DAY)) for begin, end in today]
        return hours

    def _offset(self, moment: datetime) -> timedelta:
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None
        return offset

    def _change_between(self, earlier: datetime, later: datetime) -> datetime:
        """Return the first moment of the later offset."""
        before = self._offset(earlier)
        while later - earlier > _EXACT:
            middle = earlier + (later - earlier) // _EXACT // 2 * _EXACT
            if self._offset(middle) == before:
                earlier = middle
            else:
                later = middle
        return later
