"""The GraphQL schema: the public contract, in Strawberry."""

import strawberry
from graphql import GraphQLArgument, GraphQLInputField, GraphQLSchema, Undefined
from strawberry.schema.config import StrawberryConfig

from api.schema.approvals import ApprovalSnapshot
from api.schema.executions import ExecutionSnapshot
from api.schema.mutation import Mutation
from api.schema.nodes import Approval, Execution
from api.schema.query import Query
from api.schema.results import Accepted, Refused
from api.schema.scalars import SCALARS
from api.schema.subscription import Subscription


def _without_null_defaults(served: GraphQLSchema) -> None:
    """Take out defaults of null, which say no more than that a value may be left out.

    Python gives the same None without them, and the contract has none.
    """
    optional: list[GraphQLArgument | GraphQLInputField] = []
    for type_ in served.type_map.values():
        for field in getattr(type_, "fields", {}).values():
            optional += [field] if isinstance(field, GraphQLInputField) else field.args.values()
    for value in optional:
        if value.default_value is None:
            value.default_value = Undefined


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Accepted, Refused, Approval, ApprovalSnapshot, Execution, ExecutionSnapshot],
    config=StrawberryConfig(scalar_map=SCALARS),
)
SERVED: GraphQLSchema = schema._schema  # noqa: SLF001 - the library has no name for it
_without_null_defaults(SERVED)
