"""Builds and connects the objects of a server, in one module for each subject.

``api.container`` calls these modules in order, and starts and stops what they return. Nothing here
is started. They may import everything else in ``api``; only ``api.container`` imports them.
"""
