"""Executes prepared documents on a schema, and turns exceptions into the error codes of the API."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, NamedTuple
from uuid import uuid4

import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute,
    get_operation_ast,
)

from api import metrics
from api.errors import ApiError, ErrorCode, bad_request, internal, known, limit_exceeded
from api.graphql.answer_budget import AnswerBudget, AnswerTooLargeError
from api.graphql.document_cache import DocumentCache, PreparedDocument
from api.graphql.fastpath.completion import PlannedExecutor, Plans
from api.graphql.fastpath.direct_calls import DirectCall, find, resolved
from api.graphql.query_limits import LimitedList, limited_lists
from api.graphql.request import GraphQLRequest

_log = structlog.get_logger(__name__)

ReadAgain = Callable[[BaseException], Awaitable[bool]]


class Answer(NamedTuple):
    """The body of a response."""

    body: dict[str, Any]

    @property
    def code(self) -> ErrorCode | None:
        """The code of the first error, None if there is no error."""
        for error in self.body.get("errors", ()):
            return ErrorCode(error["extensions"]["code"])
        return None


class Operation(NamedTuple):
    """One operation of a valid document. ``field`` is its first root field.

    ``lists`` are the variables that a root field takes as a list of limited length.
    """

    document: DocumentNode
    plans: Plans
    name: str | None
    type: OperationType
    field: str
    lists: tuple[LimitedList, ...] = ()


class InvalidRequestError(Exception):
    """The request can't be executed. ``answer`` has the errors."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


class Executor:
    """Executes operations of one schema.

    ``fast``: use direct calls and plans where there are some. Otherwise graphql-core does all.
    ``read_again`` says whether to execute a query once more that failed with an exception, such as
    that of a lost connection.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        documents: DocumentCache,
        *,
        fast: bool = True,
        read_again: ReadAgain | None = None,
    ) -> None:
        self._schema = schema
        self._documents = documents
        self._fast = fast
        self._read_again = read_again

    def prepare(self, request: GraphQLRequest) -> Operation:
        """Find the operation to execute. Raises InvalidRequestError."""
        prepared = self._documents.get(request.query)
        operation: Operation | None = prepared.operations.get(request.operation_name)
        if operation is None:
            operation = _operation(self._schema, prepared, request.operation_name)
            prepared.operations[request.operation_name] = operation
        if operation.lists and request.variables:
            # Before the values are read, because that takes time for each.
            for limited in operation.lists:
                if problem := limited.problem(request.variables):
                    raise InvalidRequestError(refusal(limit_exceeded(problem)))
        return operation

    async def answer(
        self, operation: Operation, variables: dict[str, Any] | None, context: Any
    ) -> Answer:
        """Execute a query or mutation. Raises InvalidRequestError for invalid variables."""
        result = await self.execute(operation, variables, context)
        if result.errors and await self._should_read_again(operation, result.errors):
            result = await self.execute(operation, variables, context)
        answer = _shown(result) if not _too_large(context) else _refused_size(operation, context)
        metrics.REQUESTS.labels(operation.type.value, answer.code or "OK").inc()
        if "data" not in answer.body:
            raise InvalidRequestError(answer)
        return answer

    async def _should_read_again(
        self, operation: Operation, errors: Iterable[GraphQLError]
    ) -> bool:
        if self._read_again is None or operation.type is not OperationType.QUERY:
            return False
        for error in errors:
            if await self._read_again(_cause(error)):
                return True
        return False

    async def execute(
        self, operation: Operation, variables: dict[str, Any] | None, context: Any
    ) -> ExecutionResult:
        """Execute a query or mutation, and return the result as graphql-core does."""
        if not self._fast:
            return await self._execute(operation, variables, context)
        call = self._call(operation, variables)
        if call is None:
            return await self._fall_back("operation", operation, variables, context)
        try:
            arguments = call.arguments(variables or {})
        except Exception:  # noqa: BLE001 - graphql-core accepts it, or reports the error
            return await self._fall_back("variables", operation, variables, context)
        info = call.info(context)
        outcome: Any
        try:
            outcome = await call.resolve(arguments, info)
        except Exception as error:  # noqa: BLE001 - graphql-core reports where it was raised
            outcome = error
        else:
            try:
                return ExecutionResult({call.name: call.complete(outcome, info)})
            except AnswerTooLargeError as error:
                return ExecutionResult(None, [GraphQLError(str(error), original_error=error)])
            except Exception:  # noqa: BLE001, S110 - graphql-core finds and reports it
                pass
        return await self._fall_back("answer", operation, variables, context, resolved(outcome))

    async def _fall_back(
        self,
        reason: str,
        operation: Operation,
        variables: dict[str, Any] | None,
        context: Any,
        *middleware: Callable[..., Any],
    ) -> ExecutionResult:
        """Leave an operation to graphql-core, and count it."""
        metrics.FALLBACKS.labels(reason).inc()
        return await self._execute(operation, variables, context, *middleware)

    async def _execute(
        self,
        operation: Operation,
        variables: dict[str, Any] | None,
        context: Any,
        *middleware: Callable[..., Any],
    ) -> ExecutionResult:
        result = execute(
            self._schema,
            operation.document,
            context_value=context,
            variable_values=variables,
            operation_name=operation.name,
            middleware=middleware or None,
            executor_class=PlannedExecutor,
            plans=operation.plans if self._fast else None,
        )
        return await result if isawaitable(result) else result

    def _call(self, operation: Operation, variables: dict[str, Any] | None) -> DirectCall | None:
        calls: dict[str | None, DirectCall | None] = operation.plans.calls
        if operation.name not in calls:
            executor = self._build(operation, variables, None)
            if isinstance(executor, list):
                # These variables are invalid; others may be valid.
                return None
            calls[operation.name] = find(executor, operation.plans)
        return calls[operation.name]

    def _build(
        self, operation: Operation, variables: dict[str, Any] | None, context: Any
    ) -> PlannedExecutor | list[GraphQLError]:
        executor = PlannedExecutor.build(
            self._schema,
            operation.document,
            context_value=context,
            raw_variable_values=variables,
            operation_name=operation.name,
            plans=operation.plans if self._fast else None,
        )
        assert isinstance(executor, PlannedExecutor | list)
        return executor

    async def stream(
        self, operation: Operation, variables: dict[str, Any] | None, context: Any
    ) -> AsyncGenerator[Answer, None]:
        """Execute a subscription. Raises InvalidRequestError, also if an error ends it."""
        executor = self._build(operation, variables, context)
        if isinstance(executor, list):
            raise InvalidRequestError(refusal(*executor))
        source = create_source_event_stream(executor)
        if isawaitable(source):
            source = await source
        if isinstance(source, ExecutionResult):
            raise InvalidRequestError(refusal(*(source.errors or ())))
        assert isinstance(source, AsyncGenerator)
        with metrics.SUBSCRIPTIONS.labels(operation.field).track_inprogress():
            async with aclosing(source):
                try:
                    async for event in source:
                        if (budget := getattr(context, "answer", None)) is not None:
                            budget.begin()
                        result = executor.message(event)
                        if not isinstance(result, ExecutionResult):
                            result = await result
                        yield _message(result, context)
                except Exception as error:
                    raise InvalidRequestError(refusal(error)) from error


def refusal(*errors: Exception) -> Answer:
    """Return the answer to a request that was not executed."""
    return Answer({"errors": _formatted(errors)})


def _too_large(context: Any) -> bool:
    budget: AnswerBudget | None = getattr(context, "answer", None)
    return budget is not None and budget.exceeded


def _size_problem(what: str, context: Any) -> str:
    return (
        f"the {what} would have more than {context.answer.limit} bytes, which is the limit; "
        "ask for fewer items or fields at once"
    )


def _message(result: ExecutionResult, context: Any) -> Answer:
    """Return a message of a subscription. Raises LIMIT_EXCEEDED if it is too large."""
    if _too_large(context):
        raise limit_exceeded(_size_problem("message", context))
    return _shown(result)


def _refused_size(operation: Operation, context: Any) -> Answer:
    problem = _size_problem("answer", context)
    if operation.type is OperationType.MUTATION:
        problem += ". The mutation was carried out: a repeat has the result, or read it by a query"
    return refusal(limit_exceeded(problem))


def _operation(schema: GraphQLSchema, prepared: PreparedDocument, name: str | None) -> Operation:
    """Find an operation of a document. Raises InvalidRequestError."""
    if prepared.document is None:
        raise InvalidRequestError(refusal(*prepared.errors))
    definition = get_operation_ast(prepared.document, name)
    if definition is None:
        raise InvalidRequestError(refusal(bad_request(_which(name))))
    return Operation(
        prepared.document,
        prepared.plans,
        name,
        definition.operation,
        _field(definition),
        limited_lists(schema, definition),
    )


def _which(name: str | None) -> str:
    if name is None:
        return "the document must have exactly one operation, or operationName must name one"
    return f"the document has no operation {name[:100]!r}"


def _field(definition: OperationDefinitionNode) -> str:
    # Clients choose the names of fragments: as labels they would grow without limit.
    names = (
        node.name.value
        for node in definition.selection_set.selections
        if isinstance(node, FieldNode)
    )
    return next(names, "in a fragment")


def _shown(result: ExecutionResult) -> Answer:
    if not result.errors:
        return Answer({"data": result.data})
    if result.data is None and all(error.path is None for error in result.errors):
        # Nothing was executed, for example because variables are invalid.
        return refusal(*result.errors)
    return Answer({"errors": _formatted(result.errors), "data": result.data})


def _formatted(errors: Iterable[Exception]) -> list[dict[str, Any]]:
    return [_format(error) for error in errors]


def _format(error: Exception) -> dict[str, Any]:
    shown = _in_code(error)
    formatted: dict[str, Any] = {
        "message": shown.message,
        "extensions": {"code": shown.code.value},
    }
    if isinstance(error, GraphQLError):
        if error.locations:
            formatted["locations"] = [location.formatted for location in error.locations]
        if error.path is not None:
            formatted["path"] = error.path
    return formatted


def _cause(error: Exception) -> Exception:
    """Return the exception that a GraphQL error is about."""
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error


def _in_code(error: Exception) -> ApiError:
    cause = _cause(error)
    foreseen = known(cause)
    if foreseen is not None:
        return foreseen
    if isinstance(cause, GraphQLError):
        # From graphql-core, such as a value that does not fit the schema.
        code = (cause.extensions or {}).get("code", ErrorCode.BAD_REQUEST)
        return ApiError(ErrorCode(code), cause.message)
    reference = uuid4().hex
    path = error.path if isinstance(error, GraphQLError) else None
    _log.error("unexpected_error", reference=reference, path=path, exc_info=cause)
    return internal(reference)
