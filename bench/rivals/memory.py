"""How much memory processes take, each page shared by several counted once in all."""

from collections.abc import Iterable

import psutil
import psycopg

MB = 1_000_000


def megabytes(pids: Iterable[int]) -> float:
    """Add up what processes take. One that has ended meanwhile takes nothing."""
    total = 0
    for pid in pids:
        try:
            memory = psutil.Process(pid).memory_full_info()
        except psutil.NoSuchProcess:
            continue
        # The proportional share where the system tells it, Linux that is.
        total += getattr(memory, "pss", memory.uss)
    return total / MB


def threads(pid: int) -> int:
    """Count the threads of a process."""
    return psutil.Process(pid).num_threads()


async def postgres(database: str) -> list[int]:
    """Give the process ids of the PostgreSQL server of a database, which runs on this machine."""
    async with await psycopg.AsyncConnection.connect(database) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        first = backend.parent()
        assert first is not None
        return [first.pid, *(child.pid for child in first.children())]
