"""Reads the statements of a read model from the ``.sql`` file beside it.

A line ``-- name: WORD`` begins a statement, or a group of them, with that name.
"""

import re
from importlib.resources import files
from typing import LiteralString, cast

_MARK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def statements(package: str, file_name: str) -> dict[str, LiteralString]:
    """Return the named parts of a file of a package."""
    text = files(package).joinpath(file_name).read_text("utf-8")
    _, *parts = _MARK.split(text)
    # The text is part of the program, as a literal is: nothing that anybody sent is in it.
    return cast("dict[str, LiteralString]", dict(zip(parts[::2], parts[1::2], strict=True)))
