"""What an audit finds."""

from typing import NamedTuple
from uuid import UUID


class Finding(NamedTuple):
    """One thing that no server has written, or that contradicts the events.

    ``execution_id`` is None for a finding about the log as a whole. ``version`` and ``position``
    are 0 if the finding is about no single event. ``meaning`` says what follows from it, or what
    to do. ``what`` is what has the id: the execution, or a standing grant.
    """

    kind: str
    execution_id: UUID | None
    version: int
    position: int
    message: str
    meaning: str
    what: str = "execution"

    def __str__(self) -> str:
        where = "the log" if self.execution_id is None else f"{self.what} {self.execution_id}"
        if self.version:
            where += f" version {self.version}"
        if self.position:
            where += f" (position {self.position})"
        line = f"{self.kind}: {where}: {self.message}; {self.meaning}"
        # Names are what people sent, and may have line breaks.
        return line if line.isprintable() else repr(line)[1:-1]
