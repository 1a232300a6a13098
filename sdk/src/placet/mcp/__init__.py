"""An MCP server whose tools let an agent ask people before it acts."""

from placet._util.optional_imports import needs

with needs("mcp"):
    from placet.mcp.server import serve

__all__ = ["serve"]
