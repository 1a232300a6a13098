"""The demo, the permit log as executions, and the benchmarks. Clients only use the public API."""
