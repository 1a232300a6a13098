"""GraphQL requests, as HTTP and the WebSocket bring them."""

from typing import Any, NamedTuple

from api.errors import bad_request


class GraphQLRequest(NamedTuple):
    """A document and what to execute of it."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None

    @classmethod
    def of(cls, given: object) -> "GraphQLRequest":
        """Check the parameters of the GraphQL-over-HTTP specification, section 5.1.

        Raises BAD_REQUEST, which names the parameter.
        """
        if not isinstance(given, dict):
            raise bad_request("a request is one JSON object with the member query")
        query = given.get("query")
        if not isinstance(query, str):
            raise bad_request("query is missing or is not a string")
        variables = given.get("variables")
        if variables is not None and not isinstance(variables, dict):
            raise bad_request("variables is not an object")
        operation_name = given.get("operationName")
        if operation_name is not None and not isinstance(operation_name, str):
            raise bad_request("operationName is not a string")
        extensions = given.get("extensions")
        if extensions is not None and not isinstance(extensions, dict):
            raise bad_request("extensions is not an object")
        return cls(query, variables, operation_name)
