"""The API: the schema, its resolvers and the edge."""
