"""Renews a worker's lease while its stream is open, and shortens it if the connection breaks."""

import asyncio
from datetime import timedelta

import psycopg
import structlog

from application.workers.leases import Leases
from application.workers.worker_stream import Lost, WorkerStream

_log = structlog.get_logger(__name__)


async def keep_lease(leases: Leases, stream: WorkerStream) -> None:
    """Renew the lease until the stream is closed, and tell the worker what it has lost."""
    pause = stream.lease.total_seconds() / 3
    # This task is also cancelled. But a cancellation can be lost, see `stop`, and the lease of a
    # closed stream must not be renewed for ever.
    while not stream.closed:
        await asyncio.sleep(pause)
        try:
            heartbeat = await leases.keep(stream.principal, stream.worker, stream.lease, stream.id)
        except psycopg.Error as error:
            _log.warning("lease_not_renewed", worker=stream.worker, error=str(error))
            continue
        if heartbeat is None:
            # The worker has another stream, or polls. This connection may be broken.
            stream.close()
            return
        stream.expires_at = heartbeat.lease_expires_at
        for execution_id in heartbeat.lost:
            if stream.drop(execution_id):
                stream.send(Lost(execution_id))


async def shorten_lease(leases: Leases, stream: WorkerStream, grace: timedelta) -> bool:
    """Shorten the lease to ``grace``, unless it was renewed since. Returns whether it was."""
    try:
        shortened = await leases.shorten(*stream.key, stream.expires_at, grace)
    except psycopg.Error as error:
        _log.warning("lease_not_shortened", worker=stream.worker, error=str(error))
        return False
    if shortened:
        _log.info("worker_cut_off", worker=stream.worker, grace=grace.total_seconds())
    return shortened
