"""The benchmarks, and ``stack``, which starts a server for them, for the demo and for tests.

May import everything. Nothing but ``examples.demo``, ``examples.permit_replay`` and tests imports
``bench``, and of it little but ``stack``; a suite can be changed without looking further.
"""
