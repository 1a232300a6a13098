"""The histories that come with claims, so that a worker need not ask for each.

What is left out, the worker reads itself: long histories, and those that would make an answer
large.
"""

from collections.abc import Sequence

import psycopg
import structlog
from msgspec.structs import replace

from application.event_store.histories import HistoryLimits
from application.event_store.reader import Reader
from application.workers.leases import Grant

_log = structlog.get_logger(__name__)

STARTED_AND_CLAIMED = 2
"""An execution of this version has a history that the worker knows without reading it."""
MAX_VERSION = 500
LIMITS = HistoryLimits(each=64 * 1024, together=512 * 1024)


async def with_transcripts(reader: Reader, grants: Sequence[Grant]) -> list[Grant]:
    """Return the grants, in their order, with the histories up to the versions that they have."""
    versions = {
        grant.execution.id: grant.execution.version
        for grant in grants
        if STARTED_AND_CLAIMED < grant.execution.version <= MAX_VERSION
    }
    if not versions:
        return list(grants)
    try:
        found = await reader.histories(versions, LIMITS)
    except psycopg.Error as error:
        # The claims must go out, and the worker asks again.
        _log.debug("transcripts_not_read", error=str(error))
        return list(grants)
    return [
        replace(grant, history=found.get(grant.execution.id))
        if grant.execution.version == versions.get(grant.execution.id)
        else grant
        for grant in grants
    ]
