"""Arguments that several fields have, each with its description."""

from datetime import timedelta
from typing import Annotated, Any

import strawberry


def described(text: str) -> Any:
    """Return what gives an argument this description, for use in ``Annotated``."""
    return strawberry.argument(description=text)


ExecutionId = Annotated[strawberry.ID, described("The id of the execution.")]
ApprovalIdArgument = Annotated[strawberry.ID, described("The id of the approval.")]
First = Annotated[int | None, described("The size of the page, from 0 to 500.")]
After = Annotated[
    str | None, described("The cursor after which the page begins; null: at the beginning.")
]
AtLeast = Annotated[
    str | None,
    described(
        "A position of the log that the read model must have reached, such as that of a command's "
        "result. If it has not after 5 seconds, the error is READ_MODEL_BEHIND."
    ),
]
From = Annotated[
    str | None,
    described("The cursor after which the messages begin; null: from now on."),
]
Worker = Annotated[
    str, described("The name of the worker, unique among those of the token's owner.")
]
Lease = Annotated[
    timedelta | None,
    described(
        "For how long the worker holds its executions unless it renews the lease, from 1 second "
        "to 1 hour."
    ),
]
