"""A cache of documents, so that each is parsed, checked against the limits and validated once."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from graphql import DocumentNode, GraphQLError, GraphQLSchema, GraphQLSyntaxError, parse, validate

from api.errors import ErrorCode, bad_request, limit_exceeded
from api.graphql import query_limits
from api.graphql.fastpath.completion import Budget, Plans

# How messages of the parser begin if the document exceeds one of its limits.
_TOO_MUCH = ("Syntax Error: Document contains more than", "Syntax Error: Document is nested too")


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A valid document, or the errors that it has.

    ``operations`` has its operations by name. The executor fills it.
    """

    document: DocumentNode | None
    plans: Plans
    errors: tuple[GraphQLError, ...] = ()
    operations: dict[str | None, Any] = field(default_factory=dict)


class DocumentCache:
    """The most recent documents, up to ``max_documents`` and ``max_bytes`` of their text.

    Invalid documents are kept too, so that a client that repeats one costs no validation.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        max_documents: int = 1_000,
        max_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._schema = schema
        self._pages = query_limits.page_sizes(schema)
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._bytes = 0
        self._budget = Budget()
        self._kept: OrderedDict[str, PreparedDocument] = OrderedDict()

    def get(self, source: str) -> PreparedDocument:
        """Return the document of this text, from the cache if it is there."""
        prepared = self._kept.get(source)
        if prepared is None:
            prepared = self._prepare(source)
            self._keep(source, prepared)
        else:
            self._kept.move_to_end(source)
        return prepared

    def _keep(self, source: str, prepared: PreparedDocument) -> None:
        self._kept[source] = prepared
        self._bytes += len(source)
        while self._bytes > self._max_bytes or len(self._kept) > self._max_documents:
            dropped, _ = self._kept.popitem(last=False)
            self._bytes -= len(dropped)

    def _prepare(self, source: str) -> PreparedDocument:
        document, errors = self._read(source)
        return PreparedDocument(None if errors else document, self._budget.plans(), errors)

    def _read(self, source: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
        try:
            document = parse(source, no_location=False, max_tokens=query_limits.MAX_TOKENS)
        except GraphQLSyntaxError as error:
            too_much = error.message.startswith(_TOO_MUCH)
            return None, (limit_exceeded(error.message) if too_much else _located(error),)
        try:
            problem = query_limits.check(document, self._pages)
        except RecursionError:
            problem = f"the document is nested more than {query_limits.MAX_DEPTH} levels deep"
        if problem:
            return None, (limit_exceeded(problem),)
        errors = validate(self._schema, document, max_errors=20)
        return document, tuple(_located(error) for error in errors)


def _located(error: GraphQLError) -> GraphQLError:
    shown = bad_request(error.message)
    return GraphQLError(
        shown.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        extensions={"code": ErrorCode.BAD_REQUEST.value},
    )
