"""The rules of an execution, as specifications."""
