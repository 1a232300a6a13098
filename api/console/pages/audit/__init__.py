"""The pages for auditors: the log, decisions, and what was waiting at a moment.

Each has its search in the address, and the same as a file of comma-separated values.
"""
