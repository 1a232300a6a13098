"""What processes take: memory in megabytes, processor time in seconds."""

from collections.abc import Iterable
from contextlib import suppress

import psutil
import psycopg

MB = 1_000_000


def resident(pids: Iterable[int]) -> float:
    """Add up what is in memory of processes that have little in common."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / MB


def proportional(pids: Iterable[int]) -> float:
    """Add up what is in memory of processes that share much, which counts once in all.

    Where the system does not tell, what is shared does not count. A process that has ended
    meanwhile takes nothing.
    """
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            memory = psutil.Process(pid).memory_full_info()
            total += getattr(memory, "pss", memory.uss)
    return total / MB


def processor(pids: Iterable[int]) -> float:
    """Add up the processor time of processes and of those children of theirs that have ended."""
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
