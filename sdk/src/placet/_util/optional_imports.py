"""Libraries that come with an extra alone: where they are missing, the error says which."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import what an extra brings. Raises ModuleNotFoundError with what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        msg = f"{error}; pip install 'placet[{extra}]'"
        raise ModuleNotFoundError(msg, name=error.name, path=error.path) from error
