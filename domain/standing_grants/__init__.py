"""Standing grants: what a person allows in advance. An aggregate of its own, beside executions.

A standing grant has a stream of its own in the log. It is used in two steps, in two commits: its
own event reserves a use, and then the approval gets the decision of the person. The process manager
``application.process_managers.standing_grants`` does both.
"""
