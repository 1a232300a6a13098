"""The overview: what waits, and what was decided in the last days."""

from starlette.responses import Response

from api.console.views.overview import AGES, OUTCOMES, SHORT_AGES, TONES, charts_of
from api.console.visit import Visit, not_allowed
from domain import authorization

DAYS = 30


async def show(visit: Visit) -> Response:
    """Show the numbers to those who read all approvals anyway."""
    if not authorization.sees_all(visit.principal):
        raise not_allowed(visit)
    overview = await visit.site.overview.read(DAYS, at_least=visit.services.tail.position)
    return visit.page(
        "overview.html",
        days=DAYS,
        charts=charts_of(overview),
        ages=AGES,
        short_ages=SHORT_AGES,
        outcomes=OUTCOMES,
        tones=TONES,
    )
