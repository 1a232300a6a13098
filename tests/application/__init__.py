"""The log on a real database: writer, reader, tail, leases, assignments, verification."""
