"""Executes GraphQL documents on the schema directly, without HTTP, as any principal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

from graphql import (
    ExecutionResult,
    OperationType,
    create_source_event_stream,
    execute,
    get_operation_ast,
    parse,
    validate,
)
from graphql.execution import execute_subscription_event

from api.channels.webhooks.administration import WebhookAdministration
from api.channels.webhooks.targets import Targets
from api.context import Context, Services
from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor, Operation
from api.graphql.fastpath.completion import Budget, PlannedExecutor
from api.schema import SERVED
from application.directory import Directory
from application.eligible_people import EligiblePeople
from application.notifications.center import NotificationCenter
from application.substitute_pages import SubstitutePages
from application.substitutes import Substitutes
from application.webhooks.registrations import Webhooks
from domain.values import Principal
from projections.approvals.past_query import PastApprovalQuery
from projections.approvals.query import ApprovalQuery
from projections.decisions.query import DecisionQuery
from projections.events.query import EventSearch
from projections.executions.query import ExecutionQuery
from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime.projector import Projector
from projections.standing_grants.query import StandingGrantQuery
from tests.application.server_process import ServerProcess
from tests.domain.people import OLIVIA


class GraphQLClient:
    """Use it as ``async with GraphQLClient.open(url)``, on a database with all tables.

    ``fast``: use direct calls and plans. Then queries that do not wait are executed once more, by
    graphql-core alone, and so are messages, and the results must be equal. A principal whose id is
    in ``revoked`` has a revoked token. ``became`` has the principal that a token belongs to when it
    is checked again.
    """

    def __init__(self, process: ServerProcess, services: Services, *, fast: bool) -> None:
        self.process = process
        self.fast = fast
        self.services = services
        self.revoked: set[str] = set()
        self.became: dict[str, Principal] = {}
        self._executor = Executor(SERVED, DocumentCache(SERVED), fast=fast)
        self._operations: dict[str, Operation] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, fast: bool = True) -> AsyncIterator["GraphQLClient"]:
        checkpoints = Checkpoints()
        projector = Projector(url, MODELS.values(), checkpoints=checkpoints)
        async with ServerProcess.open(url) as process:
            projector.start()
            try:
                yield cls(
                    process,
                    Services(
                        writer=process.writer,
                        reader=process.reader,
                        tail=process.tail,
                        leases=process.leases,
                        dispatcher=process.dispatcher,
                        long_polling=process.long_polling,
                        executions=ExecutionQuery(process.pool, checkpoints),
                        events=EventSearch(process.pool, process.reader),
                        approvals=ApprovalQuery(process.pool, checkpoints),
                        standing_grants=StandingGrantQuery(process.pool, checkpoints),
                        directory=Directory(process.pool, process.writer),
                        substitutes=Substitutes(process.pool),
                        absences=SubstitutePages(process.pool),
                        eligible_people=EligiblePeople(Directory(process.pool)),
                        webhooks=WebhookAdministration(Webhooks(process.pool), Targets()),
                        notifications=NotificationCenter(process.pool, process.pool),
                        past_approvals=PastApprovalQuery(process.pool, process.reader, checkpoints),
                        decisions=DecisionQuery(process.pool, checkpoints),
                    ),
                    fast=fast,
                )
            finally:
                projector.close()

    async def answer(self, by: Principal, document: str, **variables: Any) -> ExecutionResult:
        """Execute a query or mutation, which must be valid."""
        operation, context = self.prepare(document), self._context(by)
        assert validate(SERVED, operation.document) == []
        result = await self._executor.execute(operation, variables, context)
        query = operation.type is OperationType.QUERY
        if self.fast and query and "executionAfter" not in document:
            plain = execute(
                SERVED, operation.document, context_value=context, variable_values=variables
            )
            assert result == (plain if isinstance(plain, ExecutionResult) else await plain)
        return result

    def prepare(self, document: str) -> Operation:
        """Return the operation of a document, without the limits on its size."""
        if document not in self._operations:
            parsed = parse(document)
            definition = get_operation_ast(parsed)
            assert definition is not None
            plans, type_ = Budget().plans(), definition.operation
            self._operations[document] = Operation(parsed, plans, None, type_, "")
        return self._operations[document]

    async def ask(self, document: str, by: Principal = OLIVIA, **variables: Any) -> Any:
        """Execute a query or mutation, which must succeed, and return its only field."""
        result = await self.answer(by, document, **variables)
        assert result.errors is None, result.errors
        assert result.data is not None
        [value] = result.data.values()
        return value

    async def code(self, document: str, by: Principal = OLIVIA, **variables: Any) -> str:
        """Execute a query or mutation, which must end in one error, and return its code."""
        result = await self.answer(by, document, **variables)
        [error] = result.errors or []
        code: str = (error.extensions or {})["code"]
        return code

    @asynccontextmanager
    async def follow(
        self, document: str, by: Principal = OLIVIA, **variables: Any
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Subscribe. Yields the values of the only field, one after the other."""
        operation = self.prepare(document)
        executor: Any = PlannedExecutor.build(
            SERVED,
            operation.document,
            context_value=self._context(by),
            raw_variable_values=variables,
            plans=operation.plans if self.fast else None,
        )
        assert not isinstance(executor, list), executor
        stream: Any = create_source_event_stream(executor)
        if isawaitable(stream):
            stream = await stream
        assert not isinstance(stream, ExecutionResult), stream.errors

        async def values() -> AsyncIterator[Any]:
            async for event in stream:
                result, plain = [
                    await each if isawaitable(each) else each
                    for each in (
                        executor.message(event),
                        execute_subscription_event(executor.build_per_event_executor(event)),
                    )
                ]
                assert result == plain
                assert result.errors is None, result.errors
                assert result.data is not None
                [value] = result.data.values()
                yield value

        try:
            yield values()
        finally:
            await stream.aclose()

    def _context(self, by: Principal) -> Context:
        async def recheck() -> Principal | None:
            return None if by.id in self.revoked else self.became.get(by.id, by)

        return Context(principal=by, services=self.services, recheck=recheck)
