"""The read model of standing grants: one row for each grant, and the query for pages of them.

It can be changed without looking further; raise its version with any change of the rows.
"""
