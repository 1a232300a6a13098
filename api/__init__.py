"""The outermost layer: GraphQL over HTTP and WebSocket, the configuration, and the command line.

``container.py`` builds all objects of a server. Settings, logs and texts of errors can be changed
without looking further. Imports every other package; no other package imports it.
"""
