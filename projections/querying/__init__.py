"""What the queries of all read models share: filters, pages, search terms and checkpoints.

Imports ``domain`` alone, and knows no read model. ``hashed_terms`` and ``full_text`` also make what
the projections write, so a change there needs new versions of the read models.
"""
