"""Whole servers in processes of their own: faults, races, the command line, the documentation."""
