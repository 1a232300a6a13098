"""Approvals for code that is no workflow: a gate, a decorator, and what a clearance is.

Imports ``client`` and what that imports.
"""
