"""The GraphQL schema: the public contract, in Strawberry."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from api.schema.approvals import Approval, ApprovalSnapshot
from api.schema.executions import Execution, ExecutionSnapshot
from api.schema.mutation import Mutation
from api.schema.query import Query
from api.schema.results import Accepted, Refused
from api.schema.scalars import SCALARS
from api.schema.subscription import Subscription

schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Accepted, Refused, Approval, ApprovalSnapshot, Execution, ExecutionSnapshot],
    config=StrawberryConfig(scalar_map=SCALARS),
)
