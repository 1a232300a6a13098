"""Temporary files in memory, where there is room for them.

A test run makes and drops hundreds of databases, each of hundreds of files. On a disk that takes
five times as long, and longer while others write.
"""

import os
import shutil
from pathlib import Path

import psutil

DIRECTORY = Path("/dev/shm")
VARIABLE = "PYTEST_DEBUG_TEMPROOT"
NEEDED = 4 << 30
"""Bytes of memory that must be available. A run takes less than half of it."""


def keep_files_in_memory() -> None:
    """Have pytest make its temporary directories in memory, unless it is told where to."""
    if _has_room():
        os.environ.setdefault(VARIABLE, str(DIRECTORY))


def _has_room() -> bool:
    if not DIRECTORY.is_dir() or not os.access(DIRECTORY, os.W_OK):
        return False
    # Containers often have only 64 MB there, and allow no programs.
    if os.statvfs(DIRECTORY).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(DIRECTORY).free, psutil.virtual_memory().available) > NEEDED
