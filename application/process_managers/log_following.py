"""Following the log while this process is the leader."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from application.process_managers.leader_election import LeaderElection
from application.subscriptions.event_tail import EventPage, EventTail

_log = structlog.get_logger(__name__)

INTERVAL = 1.0
"""Seconds of the pause after a failure, and between pages while no events come."""


async def follow_as_leader(
    manager: str,
    tail: EventTail,
    election: LeaderElection,
    *,
    begin: Callable[[], Awaitable[int]],
    act: Callable[[EventPage], Awaitable[None]],
    failed: str = "process_manager_failed",
) -> NoReturn:
    """Follow the log for ever, whenever this process is the leader.

    ``begin`` returns the position after which to follow. ``act`` gets each page of events, and an
    empty one every INTERVAL seconds without events. It saves the position itself: after an error of
    either the log is followed from ``begin`` again. Errors are logged with the name of the
    ``manager``, unexpected ones as ``failed``.
    """
    while True:
        await election.elected()
        try:
            async for page in tail.follow(await begin(), idle=INTERVAL):
                if not election.leads:
                    break
                await act(page)
        except (psycopg.Error, PoolTimeout) as error:
            _log.debug("log_unreachable", manager=manager, error=str(error))
        except Exception:  # noqa: BLE001 - logged, and it begins again
            _log.exception(failed, manager=manager)
        await asyncio.sleep(INTERVAL)
