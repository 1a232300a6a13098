"""The outermost layer: GraphQL over HTTP and WebSocket, the configuration, and the command line.

``wiring`` builds all objects of a server; ``container.py`` starts and stops them. Settings, logs
and texts of errors can be changed without looking further. Imports every other package; no other
package imports it.
"""
