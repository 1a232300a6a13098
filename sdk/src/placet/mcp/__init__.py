"""An MCP server whose tools let an agent ask people before it acts.

``tools`` does the work, ``states`` is what the agent reads. Imports ``approvals`` and what that
imports. Needs the extra ``mcp``.
"""

from placet._util.optional_imports import needs

with needs("mcp"):
    from placet.mcp.server import serve

__all__ = ["serve"]
