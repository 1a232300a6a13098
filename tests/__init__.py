"""Tests, in folders that mirror the code. A test may import anything; see CONTRIBUTING.md.

Shared helpers are in ``support``, ``domain`` and ``application.server_process``.
"""
