"""Commands become commits: the queue, the batch, the decision and the transaction.

Imports ``domain`` and ``application.event_store``. Others import ``Writer``, and the types in
``requests`` and ``outcomes``; all else can be changed without looking further.
"""
