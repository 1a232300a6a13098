"""Imports of libraries that an extra installs. The error for a missing one names the extra."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import what an extra installs. Raises ModuleNotFoundError that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        msg = f"{error}; pip install 'placet[{extra}]'"
        raise ModuleNotFoundError(msg, name=error.name, path=error.path) from error
