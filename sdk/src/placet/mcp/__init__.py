"""An MCP server whose tools let an agent ask people before it acts."""

from placet.mcp.server import serve

__all__ = ["serve"]
