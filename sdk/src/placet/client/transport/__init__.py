"""How operations reach the service: HTTP, WebSocket, retries, and the operations themselves."""
