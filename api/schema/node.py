"""The interface of everything that has an id."""

import strawberry


@strawberry.interface(description="Anything that can be found by its id.")
class Node:
    id: strawberry.ID
