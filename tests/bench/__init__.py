"""Tests of the benchmarks' own code: the alternatives and the figures."""
