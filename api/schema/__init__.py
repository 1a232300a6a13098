"""The GraphQL schema, which is the public contract, written with Strawberry.

A new field is a thin resolver here that calls the application or a read model; nothing else has to
change. Run ``make generate`` afterwards. Names are never changed or removed. Imports everything
but the modules that build and run the server.
"""

import strawberry
from graphql import GraphQLArgument, GraphQLInputField, GraphQLSchema, Undefined
from strawberry.schema.config import StrawberryConfig

from api.schema.approvals import ApprovalSnapshot
from api.schema.executions import ExecutionSnapshot
from api.schema.limits import with_list_sizes
from api.schema.mutation import Mutation
from api.schema.nodes import Approval, Execution
from api.schema.query import Query
from api.schema.results import Accepted, Refused
from api.schema.scalars import SCALARS
from api.schema.standing_grants import StandingGrant
from api.schema.subscription import Subscription


def _without_null_defaults(served: GraphQLSchema) -> None:
    """Remove all defaults of null: they only say that a value may be left out.

    Resolvers get the same None without them, and the contract has no such defaults.
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
    types=[
        Accepted,
        Refused,
        Approval,
        ApprovalSnapshot,
        Execution,
        ExecutionSnapshot,
        StandingGrant,
    ],
    config=StrawberryConfig(scalar_map=SCALARS),
)
SERVED: GraphQLSchema = schema._schema  # noqa: SLF001 - it has no public name
_without_null_defaults(SERVED)
with_list_sizes(SERVED)
