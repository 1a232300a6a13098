"""SCIM 2.0 (RFC 7643, RFC 7644): an identity provider keeps the directory up to date.

``app`` answers requests, ``users`` and ``groups`` carry them out, ``resources`` makes resources of
people and back, and ``tables`` asks the database. The library scim2-models knows the protocol.
"""
