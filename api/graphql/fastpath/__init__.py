"""Quicker ways to run a document than graphql-core's, with the same answers.

What is not foreseen here is left to graphql-core.
"""
