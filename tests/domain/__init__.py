"""Tests of the rules of an execution, without input and output.

Write them with ``scenario``: given ``facts`` (events), when a command of ``ask``, then events or a
refusal. ``people``, ``states`` and ``strategies`` have the data.
"""
