"""The GraphQL operations that the client sends, each with its variables and its answer.

To add a field to what is read, change ``fragments`` and the class in ``placet.models`` that it is
read as. The texts never vary, so that the service parses and validates each of them once.
Imports ``envelope`` and ``placet.models``; the parts of the client import the modules of this one.
"""
