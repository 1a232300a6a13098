"""The log and all that acts on it: writer, reader, tail, leases and assignments."""
