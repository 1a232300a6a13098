"""Tests of standing grants, alone and together with executions."""
