"""Programs that users can start from, the demo, and a replay of the permit log.

They import ``placet``; the demo and ``permit_replay`` also ``bench.stack``. Only tests import
them, so each can be changed by itself. The tests run every program.
"""
