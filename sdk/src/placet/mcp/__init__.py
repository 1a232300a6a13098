"""An MCP server whose tools let an agent ask people before it acts."""

from placet.extras import needs

with needs("mcp"):
    from placet.mcp.server import serve

__all__ = ["serve"]
