"""What is sent to the service and what comes back: commands, answers, enumerations.

A class here has the fields of one type of the contract; to select a further field, also change the
operation in ``placet.client.transport.operations``. Imports ``placet.policy`` and nothing else of
the sdk. Names are imported from its modules, such as ``placet.models.commands``.
"""
