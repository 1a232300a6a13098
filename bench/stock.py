"""A stock application to compare with: Strawberry on FastAPI as in its guide, without any work."""

import sys

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.scalars import JSON


@strawberry.input
class StartExecutionInput:
    workflow: str
    input: JSON | None = None


@strawberry.type
class Execution:
    id: strawberry.ID
    state: str
    version: int


@strawberry.type
class Accepted:
    position: str
    execution: Execution


@strawberry.type
class Query:
    @strawberry.field
    def alive(self) -> bool:
        return True


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def start_execution(
        self,
        input: StartExecutionInput,  # noqa: A002, ARG002 - as in the contract, and unused
    ) -> Accepted:
        execution = Execution(id=strawberry.ID("1"), state="RUNNING", version=1)
        return Accepted(position="1", execution=execution)


def main(port: int) -> None:
    """Serve until terminated."""
    app = FastAPI()
    app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
