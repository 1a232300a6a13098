"""The read model of executions: its tables, its projection, its query."""
