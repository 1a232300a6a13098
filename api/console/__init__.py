"""The console: what people see in a browser, made on the server.

``app`` routes requests to the functions in ``pages``. These call the same services as the GraphQL
resolvers, put what they found into ``views`` (plain values for a template) and fill a template.
``sessions`` says who is signed in. Every text of a page is in ``locales``. The console imports the
context, errors and lookups of the API, and everything below ``api``. ``api.wiring.web`` builds it.
"""
