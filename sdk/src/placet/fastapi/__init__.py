"""Endpoints of FastAPI and Starlette that wait for people: ask, answer 202, act once.

``guard`` decides what a request gets, ``middleware`` records the response. Imports ``approvals``
and what that imports. Needs the extra ``fastapi``.
"""

from placet._util.optional_imports import needs

with needs("fastapi"):
    from placet.fastapi.guard import Guard, Guarded
    from placet.fastapi.middleware import ApprovalMiddleware

__all__ = ["ApprovalMiddleware", "Guard", "Guarded"]
