"""A page for browsers at the address of the API, in which people try queries."""

from collections.abc import Mapping
from typing import NamedTuple


class IdePage(NamedTuple):
    """A page in HTML with its own headers."""

    html: bytes
    headers: Mapping[str, str]
