"""The read model of approvals: its tables, its projection, its query."""
