"""Webhooks: the events of approvals, posted to the programs of others.

Messages are signed by the rules of Standard Webhooks, and their bodies are CloudEvents 1.0. An
administrator says where they go. This package may import the application and no GraphQL.
"""
