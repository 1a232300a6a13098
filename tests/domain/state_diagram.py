"""The state diagram of the documentation; ``python -m tests.domain.state_diagram`` draws it."""

from pathlib import Path

from domain.execution.transitions import mermaid

PAGE = Path(__file__).parents[2] / "docs" / "state-diagram.md"


def page() -> str:
    """Return the whole page, drawn from the transition table."""
    return f"""\
# The states of an execution

Drawn from the transition table in `domain/execution/transitions.py` by
`python -m tests.domain.state_diagram`; a test fails when this page is stale. An arrow names the
events that take an execution from one state to the other.

```mermaid
{mermaid()}```
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
