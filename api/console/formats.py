"""Times, durations and numbers as a reader sees them."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta, get_timezone_name
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup

from api.local_time import local_time

COOKIE = "placet_zone"
MAX_ZONE = 64
SOON = timedelta(hours=4)
"""How near a deadline is that people are told of. static/deadlines.js has the same."""
LITTLE = 0.005
_MARKUP = Markup(
    '<time datetime="{iso}" title="{exact}">{shown}<span class="unseen"> ({exact})</span></time>'
)
_EXACT = Markup('<time datetime="{iso}">{exact}</time>')


def zone_of(name: str | None) -> tzinfo:
    """Return the reader's time zone by the name in a cookie, UTC if there is no such zone."""
    if not name or len(name) > MAX_ZONE:
        return UTC
    try:
        # The page encodes it as a part of an address, with %2F for a slash.
        return ZoneInfo(unquote(name))
    except (KeyError, ValueError, OSError):
        return UTC


class Formats:
    """Writes times, durations and numbers in one language and zone. ``now`` is the page's time."""

    def __init__(self, locale: Locale, zone: tzinfo, now: datetime) -> None:
        self._locale = locale
        self.zone = zone
        self.now = now

    def moment(self, at: datetime) -> Markup:
        """Return how long ago or ahead a moment is; the exact time on hover and for readers."""
        return _MARKUP.format(iso=_iso(at), exact=self.exact(at), shown=self.relative(at))

    def urgency(self, deadline: datetime) -> str:
        """Return whether a deadline is "overdue", "soon" or "later"."""
        if deadline <= self.now:
            return "overdue"
        return "soon" if deadline - self.now < SOON else "later"

    def instant(self, at: datetime) -> Markup:
        """Return the exact time, as an element."""
        return _EXACT.format(iso=_iso(at), exact=self.exact(at))

    def relative(self, at: datetime) -> str:
        """Return a time such as "3 hours ago"."""
        return format_timedelta(at - self.now, add_direction=True, locale=self._locale)

    def exact(self, at: datetime) -> str:
        """Return the date, the time to the second and the zone."""
        return self._exact(at, "d MMM y, HH:mm:ss")

    def precise(self, at: datetime) -> str:
        """Return the date, the time with its microseconds if it has any, and the zone."""
        return self._exact(at, "d MMM y, HH:mm:ss.SSSSSS") if at.microsecond else self.exact(at)

    def _exact(self, at: datetime, pattern: str) -> str:
        local = local_time(at, self.zone)
        shown = format_datetime(local, pattern, locale=self._locale)
        name = get_timezone_name(local, width="short", locale=self._locale)
        return f"{shown} {name}"

    def clock(self, at: datetime) -> str:
        """Return the time of the day to the millisecond."""
        return local_time(at, self.zone).strftime("%H:%M:%S.%f")[:-3]

    def day(self, at: datetime) -> str:
        """Return the date."""
        return format_datetime(local_time(at, self.zone), "d MMM y", locale=self._locale)

    def span(self, span: timedelta) -> str:
        """Return a duration: exact below a minute, else its largest unit and the next."""
        seconds = span.total_seconds()
        if seconds < 1:
            return f"{self.number(round(seconds * 1000))} ms"
        if seconds < 60:  # noqa: PLR2004
            return f"{self.number(round(seconds, 1))} s"
        return format_timedelta(span, threshold=1.5, locale=self._locale)

    def exact_span(self, span: timedelta) -> str:
        """Return a duration with all its days, hours, minutes and seconds."""
        hours, rest = divmod(timedelta(seconds=span.seconds), timedelta(hours=1))
        minutes, rest = divmod(rest, timedelta(minutes=1))
        seconds = rest.seconds + span.microseconds / 1_000_000
        parts = {"day": span.days, "hour": hours, "minute": minutes, "second": seconds}
        said = [
            format_unit(number, f"duration-{unit}", locale=self._locale, format="#,##0.######")
            for unit, number in parts.items()
            if number
        ]
        return ", ".join(said) or format_unit(0, "duration-second", locale=self._locale)

    def seconds(self, seconds: float) -> str:
        """Return a number of seconds as a duration."""
        return self.span(timedelta(seconds=seconds)) if seconds else self.number(0)

    def share(self, value: float) -> str:
        """Return a share as whole percents; one that is little but not nothing is not 0%."""
        if 0 < value < LITTLE:
            return f"< {format_percent(0.01, locale=self._locale)}"
        return format_percent(value, locale=self._locale)

    def weekday(self, day: date) -> str:
        """Return a day that belongs to no zone, with its weekday."""
        return format_date(day, "EEE d MMM", locale=self._locale)

    def number(self, value: float) -> str:
        """Return a number with separators."""
        return format_decimal(value, locale=self._locale)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
