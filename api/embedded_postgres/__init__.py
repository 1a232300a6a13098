"""A PostgreSQL server from a Python wheel, for development and the demo."""
