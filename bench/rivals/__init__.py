"""One lifecycle (start, step, approval, decision, step, complete) with several libraries.

Each library has two small modules. ``NAME_worker`` has the lifecycle and runs as a separate
process, as in production. ``NAME_side`` implements ``contender.Contender`` for the measuring
process, which knows nothing else of the library. Only ``bench.lifecycle`` and ``bench.__main__``
import from here.
"""
