"""Faster ways than graphql-core's to run a document, with the same answers.

Everything that is not handled here is left to graphql-core, so a case can be removed without any
other change. Imports nothing else of the API.
"""
