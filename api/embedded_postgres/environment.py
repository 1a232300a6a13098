"""The environment variables from which libpq fills in what a connection string does not say."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


def without_libpq_variables() -> AbstractContextManager[None]:
    """Hide all of them in this process, for the block.

    They are for another database: PGSERVICE, PGHOSTADDR, PGTARGETSESSIONATTRS and the like.
    """
    return hidden(lambda name: name.startswith("PG"))


@contextmanager
def hidden(hides: Callable[[str], bool]) -> Iterator[None]:
    """Hide environment variables for the block, by their names. Threads see that too."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if hides(name)}
    try:
        yield
    finally:
        os.environ.update(kept)
