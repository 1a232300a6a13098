"""Read models: tables rendered from the fold of the log, their queries and their projector."""
