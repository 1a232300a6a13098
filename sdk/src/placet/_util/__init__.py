"""Small helpers without a subject of their own. Nothing here is for users of the sdk.

Imports ``models`` and ``errors``.
"""
