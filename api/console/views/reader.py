"""Who reads a page."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.values import Principal


class Reader(NamedTuple):
    """A person with what translates texts and plurals for them, and the time of the page.

    ``exact_time`` returns a moment in their time zone, to the microsecond.
    """

    viewer: Principal
    text: Callable[..., str]
    plural: Callable[..., str]
    now: datetime
    exact_span: Callable[[timedelta], str]
    exact_time: Callable[[datetime], str]
