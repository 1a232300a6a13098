"""The resources of processes: memory in megabytes, CPU time in seconds."""

from collections.abc import Iterable
from contextlib import suppress

import psutil
import psycopg

MB = 1_000_000


def resident(pids: Iterable[int]) -> float:
    """Return the resident memory of processes that share little memory."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / MB


def proportional(pids: Iterable[int]) -> float:
    """Return the memory of processes that share much of it. Shared memory counts once.

    If the system does not report that, shared memory does not count. Processes that have ended
    count as 0.
    """
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            memory = psutil.Process(pid).memory_full_info()
            total += getattr(memory, "pss", memory.uss)
    return total / MB


def processor(pids: Iterable[int]) -> float:
    """Return the CPU time of processes, with those of their children that have ended."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def threads(pid: int) -> int:
    """Count the threads of a process."""
    return psutil.Process(pid).num_threads()


async def postgres(database: str) -> list[int]:
    """Return the process ids of the PostgreSQL server of a database, which runs on this machine."""
    async with await psycopg.AsyncConnection.connect(database) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        first = backend.parent()
        assert first is not None
        return [first.pid, *(child.pid for child in first.children())]
