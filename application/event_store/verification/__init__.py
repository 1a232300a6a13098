"""The audit of the log, and of all that is stored beside it and follows from it.

``log_audit`` reads the log once, execution by execution. Each other module checks one subject; it
is an :class:`~application.event_store.verification.audit.Audit`, and is handed every event with
the state before and after it. The read models are audited in ``projections.runtime.audit``.

Nothing here changes the database. A new kind of check is a new audit in the list of ``log_audit``.
"""
