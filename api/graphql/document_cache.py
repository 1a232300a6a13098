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

MAX_ERRORS = 10

# Measured: a parsed document keeps 300 to 610 bytes for each token, with its nodes and locations.
TOKEN_BYTES = 600
CHARACTER_BYTES = 4
DOCUMENT_BYTES = 2_000


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
    """The most recent documents, up to roughly ``max_bytes`` of memory.

    Each is charged what it keeps: its text, its tokens and its nodes. Invalid documents are kept
    too, so that a client that repeats one costs no validation.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._schema = schema
        self._lists = query_limits.list_sizes(schema)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._budget = Budget()
        self._kept: OrderedDict[str, tuple[PreparedDocument, int]] = OrderedDict()

    @property
    def bytes_kept(self) -> int:
        """Roughly how many bytes of memory the documents take."""
        return self._bytes

    def get(self, source: str) -> PreparedDocument:
        """Return the document of this text, from the cache if it is there."""
        kept = self._kept.get(source)
        if kept is None:
            return self._prepare(source)
        self._kept.move_to_end(source)
        return kept[0]

    def _prepare(self, source: str) -> PreparedDocument:
        if len(source) > query_limits.MAX_CHARACTERS:
            # Not kept: the next time it costs as little as now.
            problem = (
                f"the document has {len(source)} characters, the limit is "
                f"{query_limits.MAX_CHARACTERS}; send values as variables"
            )
            return PreparedDocument(None, self._budget.plans(), (limit_exceeded(problem),))
        document, errors, tokens = self._read(source)
        prepared = PreparedDocument(None if errors else document, self._budget.plans(), errors)
        self._keep(source, prepared, tokens)
        return prepared

    def _keep(self, source: str, prepared: PreparedDocument, tokens: int) -> None:
        cost = DOCUMENT_BYTES + CHARACTER_BYTES * len(source) + TOKEN_BYTES * tokens
        self._kept[source] = prepared, cost
        self._bytes += cost
        while self._bytes > self._max_bytes:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped

    def _read(self, source: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...], int]:
        """Return the document, its errors, and how many tokens are kept with them."""
        try:
            document = parse(source, no_location=False, max_tokens=query_limits.MAX_TOKENS)
        except GraphQLSyntaxError as error:
            too_much = error.message.startswith(_TOO_MUCH)
            return None, (limit_exceeded(error.message) if too_much else _located(error),), 0
        try:
            problem = query_limits.check(document, self._lists)
        except RecursionError:
            problem = f"the document is nested more than {query_limits.MAX_DEPTH} levels deep"
        if problem:
            return None, (limit_exceeded(problem),), 0
        errors = validate(self._schema, document, max_errors=MAX_ERRORS)
        return document, tuple(_located(error) for error in errors), _tokens(document)


def _tokens(document: DocumentNode) -> int:
    assert document.loc is not None
    number, token = 0, document.loc.start_token.next
    while token is not None:
        number, token = number + 1, token.next
    return number


def _located(error: GraphQLError) -> GraphQLError:
    shown = bad_request(error.message)
    return GraphQLError(
        shown.message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        extensions={"code": ErrorCode.BAD_REQUEST.value},
    )
