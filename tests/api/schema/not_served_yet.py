"""Types and members of the contract that the service does not serve yet.

A type includes all its members, and a field its arguments. Remove an entry when it is served.
"""

NOT_SERVED_YET = {
    "ForkInput",
    "Mutation.forkExecution",
}
