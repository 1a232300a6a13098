"""The outermost layer: GraphQL over HTTP and WebSocket, configuration, and what builds it all."""
