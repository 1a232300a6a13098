"""Commands become commits: the queue, the batch, the decision, the transaction.

Imports ``domain`` and ``application.event_store``. ``writer`` is the way in.
"""
