"""People and machines of OpenID Connect providers: which tokens are taken, and whose they are.

``issuers`` is what the operator configures, ``provider`` what a provider publishes, ``tokens``
checks one token, ``people`` makes a principal of its claims, and ``subjects`` remembers which
subject of a provider has which id. ``identities`` ties them together and is what others import.
Imports only ``domain``, the background tasks of ``application``, and the settings and errors here.
"""
