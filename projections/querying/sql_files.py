"""Reads the statements of a read model from the ``.sql`` file beside it.

A line ``-- name: WORD`` begins a statement, or a group of them, with that name.
"""

import re
from importlib.resources import files
from typing import LiteralString, cast

_MARK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def statements(package: str, file_name: str) -> dict[str, LiteralString]:
    """Return the statements of a file in a package, by name."""
    text = files(package).joinpath(file_name).read_text("utf-8")
    _, *parts = _MARK.split(text)
    # The text is part of the program, like a literal. It contains no input.
    return cast("dict[str, LiteralString]", dict(zip(parts[::2], parts[1::2], strict=True)))
