"""GraphQL requests, as they come over HTTP and WebSocket."""

from typing import Any, NamedTuple

from api.errors import bad_request


class GraphQLRequest(NamedTuple):
    """A document, its variables, and the name of the operation to execute."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None

    @classmethod
    def of(cls, given: object) -> "GraphQLRequest":
        """Check the parameters (GraphQL over HTTP, section 5.1).

        Raises BAD_REQUEST, which names the wrong parameter.
        """
        if not isinstance(given, dict):
            raise bad_request("the request must be one JSON object with the member query")
        query = given.get("query")
        if not isinstance(query, str):
            raise bad_request("query must be a string with a GraphQL document")
        variables = given.get("variables")
        if variables is not None and not isinstance(variables, dict):
            raise bad_request("variables must be an object")
        operation_name = given.get("operationName")
        if operation_name is not None and not isinstance(operation_name, str):
            raise bad_request("operationName must be a string")
        extensions = given.get("extensions")
        if extensions is not None and not isinstance(extensions, dict):
            raise bad_request("extensions must be an object")
        return cls(query, variables, operation_name)
