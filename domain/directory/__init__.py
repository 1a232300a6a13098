"""People as the service knows them, and who decides in their absence.

Each person has a stream of their own in the log. Its id follows from the id of the person, see
:func:`domain.identifiers.person_stream_id`.
"""
