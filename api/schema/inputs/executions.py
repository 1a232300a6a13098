"""Inputs of commands about an execution and its steps."""

from uuid import uuid4

import strawberry

from api.schema.ids import NOWHERE, execution_id_of
from api.schema.scalars import JSON
from domain import values
from domain.execution import commands
from domain.identifiers import parse_uuid


@strawberry.input(description="A label, to put on an execution or to find executions by.")
class LabelInput:
    name: str = strawberry.field(
        description="The name of the label. An execution has one value for each name."
    )
    value: str = strawberry.field(description="The value of the label, at most 500 characters.")

    def value_of(self) -> values.Label:
        """Make the domain's value."""
        return values.Label(name=self.name, value=self.value)


@strawberry.input(description="The execution to start.")
class StartExecutionInput:
    id: strawberry.ID | None = strawberry.field(
        default=None,
        description="A UUID that the client chooses for the execution, of any version but 8, which "
        "is reserved for children.",
    )
    workflow: str = strawberry.field(description="The name of the workflow to run.")
    workflow_version: str | None = strawberry.field(
        default=None, description="The version of the workflow; null if it is to have none."
    )
    queue: str | None = strawberry.field(
        default="default", description="The queue whose workers run it. Null means default."
    )
    input: JSON | None = strawberry.field(
        default=None, description="The input of the workflow, at most 256 KiB of JSON."
    )
    labels: list[LabelInput] | None = strawberry.field(
        default=None, description="Labels to find the execution by, at most 50."
    )
    on_behalf_of: str | None = strawberry.field(
        default=None,
        description="The id of the person for whom it is started. A policy that bars the initiator "
        "bars this person too.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="A key that is unique for the workflow and the token's owner. A repeated "
        "start with it starts nothing new.",
    )

    def command(self, by: values.Principal) -> commands.StartExecution:
        """Make the command."""
        chosen = None if self.id is None else parse_uuid(self.id)
        # A malformed id, or NOWHERE, does not equal the new one. The command then refuses it.
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


@strawberry.input(description="The result of a step; with an error, one failed attempt.")
class StepInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    key: str = strawberry.field(
        description="The key of the step, unique in the execution. A repeat with the same key "
        "records nothing."
    )
    name: str = strawberry.field(description="The name of the step, for people.")
    attempt: int | None = strawberry.field(
        default=1, description="The number of the attempt, from 1. Null means 1."
    )
    result: JSON | None = strawberry.field(
        default=None,
        description="The result of the step, at most 256 KiB of JSON. Leave it out with an error.",
    )
    error: str | None = strawberry.field(
        default=None, description="Why the attempt failed; null if the step succeeded."
    )
    arguments_digest: str | None = strawberry.field(
        default=None,
        description="The worker's own digest of the arguments of the step. It is kept in the "
        "event, so that a worker that replays the execution sees if it calls the step with others.",
    )

    def command(self, by: values.Principal) -> commands.RecordStep:
        """Make the command."""
        return commands.RecordStep(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            key=self.key,
            name=self.name,
            attempt=1 if self.attempt is None else self.attempt,
            result=self.result,
            error=self.error,
            arguments_digest=self.arguments_digest,
        )


@strawberry.input(description="Completes an execution, with its result.")
class CompletionInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    result: JSON | None = strawberry.field(
        default=None, description="The result of the execution, at most 256 KiB of JSON."
    )

    def command(self, by: values.Principal) -> commands.CompleteExecution:
        """Make the command."""
        return commands.CompleteExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            result=self.result,
        )


@strawberry.input(description="Fails an execution, with its error.")
class FailureInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    fence: int | None = strawberry.field(
        default=None,
        description="The fence of the worker's claim; null if the execution was never claimed.",
    )
    error: str = strawberry.field(description="Why the execution failed.")

    def command(self, by: values.Principal) -> commands.FailExecution:
        """Make the command."""
        return commands.FailExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            fence=self.fence,
            error=self.error,
        )


@strawberry.input(description="Cancels an execution, with a reason.")
class CancellationInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    reason: str = strawberry.field(description="Why the execution is cancelled.")

    def command(self, by: values.Principal) -> commands.CancelExecution:
        """Make the command."""
        return commands.CancelExecution(
            by=by, execution_id=execution_id_of(self.execution_id), reason=self.reason
        )


@strawberry.input(description="Runs a failed execution again.")
class RetryInput:
    execution_id: strawberry.ID = strawberry.field(description="The id of the execution.")
    expected_version: int = strawberry.field(
        description="The version at which the caller saw that it had failed."
    )

    def command(self, by: values.Principal) -> commands.RetryExecution:
        """Make the command."""
        return commands.RetryExecution(
            by=by,
            execution_id=execution_id_of(self.execution_id),
            expected_version=self.expected_version,
        )
