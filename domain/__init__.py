"""The business rules of executions and approvals, as pure functions.

Nothing here reads a clock, makes random numbers or does I/O: times, ids and callers are passed in.
The entry points are ``execution.decide.decide`` and ``execution.evolve.evolve``. Imports only the
standard library, ``msgspec``, ``rpds`` and ``rfc8785``. ``pyproject.toml`` lists the order in which
the modules may import each other.
"""
