"""What the queries of all read models share: filters, pages, search terms, checkpoints.

Imports ``domain`` alone, and knows no read model.
"""
