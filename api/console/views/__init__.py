"""What a template shows, as plain values: made from states and documents, without input or output.

Each module has one subject and can be changed on its own.
"""
