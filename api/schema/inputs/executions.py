"""Inputs of commands about an execution and its steps."""

from uuid import uuid4

import strawberry

from api.schema.ids import NOWHERE, execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands
from domain.identifiers import parse_uuid


@strawberry.input(description="A label to put on an execution or to find it by.")
class LabelInput:
    name: str
    value: str

    def value_of(self) -> values.Label:
        """Give the domain's value."""
        return values.Label(name=self.name, value=self.value)


@strawberry.input(description="What to start.")
class StartExecutionInput:
    id: strawberry.ID | None = strawberry.field(
        default=None, description="A UUID of the client's choice."
    )
    workflow: str
    workflow_version: str | None = None
    queue: str | None = "default"
    input: JSON | None = None
    labels: list[LabelInput] | None = None
    on_behalf_of: str | None = strawberry.field(
        default=None, description="For whom it is started; four eyes bars this person too."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="Unique for the workflow and the token's owner."
    )

    def command(self, by: values.Principal) -> commands.StartExecution:
        """Build the command."""
        chosen = None if self.id is None else parse_uuid(self.id)
        # The command refuses a given id that is not the one it has: what is no UUID, and the one
        # that no execution may have.
        return commands.StartExecution(
            by=by,
            execution_id=chosen if chosen is not None and chosen != NOWHERE else uuid4(),
            given_id=self.id,
            workflow=self.workflow,
            workflow_version=self.workflow_version,
            queue="default" if self.queue is None else self.queue,
            input=self.input,
            labels=tuple(label.value_of() for label in self.labels or ()),
            on_behalf_of=self.on_behalf_of,
            key=self.idempotency_key,
        )


@strawberry.input(description="A step's result, or with an error one attempt that failed.")
class StepInput:
    execution_id: strawberry.ID
    fence: int | None = None
    key: str
    name: str
    attempt: int | None = 1
    result: JSON | None = None
    error: str | None = None

    def command(self, by: values.Principal) -> commands.RecordStep:
        """Build the command."""
        return commands.RecordStep(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            name=self.name,
            attempt=1 if self.attempt is None else self.attempt,
            result=self.result,
            error=self.error,
        )


@strawberry.input(description="The end of an execution that did its work.")
class CompletionInput:
    execution_id: strawberry.ID
    fence: int | None = None
    result: JSON | None = None

    def command(self, by: values.Principal) -> commands.CompleteExecution:
        """Build the command."""
        return commands.CompleteExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            result=self.result,
        )


@strawberry.input(description="The end of an execution that could not do its work.")
class FailureInput:
    execution_id: strawberry.ID
    fence: int | None = None
    error: str

    def command(self, by: values.Principal) -> commands.FailExecution:
        """Build the command."""
        return commands.FailExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            error=self.error,
        )


@strawberry.input(description="The end of an execution that is no longer wanted.")
class CancellationInput:
    execution_id: strawberry.ID
    reason: str

    def command(self, by: values.Principal) -> commands.CancelExecution:
        """Build the command."""
        return commands.CancelExecution(
            by=by, execution_id=execution_id_of(self.execution_id), reason=self.reason
        )


@strawberry.input(description="Lets a failed execution run again.")
class RetryInput:
    execution_id: strawberry.ID
    expected_version: int = strawberry.field(
        description="The version at which it was seen to have failed."
    )

    def command(self, by: values.Principal) -> commands.RetryExecution:
        """Build the command."""
        return commands.RetryExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            expected_version=self.expected_version,
        )
