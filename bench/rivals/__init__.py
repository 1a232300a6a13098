"""One lifecycle, start, step, approval, decision, step, complete, written with several libraries.

Each has two small modules. ``NAME_worker`` runs as a process of its own, as in production: it
holds the lifecycle. ``NAME_side`` is what the measuring process knows of it, in the shape of
:class:`bench.rivals.contender.Contender`. What measures knows nothing else.
"""
