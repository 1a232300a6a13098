"""Approvals: who may decide one, what is decided about, and when it is resolved.

Pure rules, called by ``domain.execution``. Imports nothing outside of ``domain``.
"""
