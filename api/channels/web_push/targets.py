"""Where messages of web push may go: to public addresses by HTTPS.

Whoever signs in can name an endpoint. So, other than for webhooks, which only an ADMIN makes, the
setting PLACET_WEBHOOK_ALLOW opens nothing here.
"""

from yarl import URL

from api.channels.webhooks.targets import Address, Targets


class PushTargets(Targets):
    """The rules of webhooks, with messages that fit the endpoints of browsers."""

    def url_problem(self, text: str) -> str | None:
        """Return what is wrong with the endpoint of a browser, or None."""
        if problem := super().url_problem(text):
            return problem
        # The library that signs knows no such origin.
        if ":" in (URL(text).host or ""):
            return "the url names an IPv6 address; push services of browsers have names"
        return None

    def address_problem(self, address: Address) -> str | None:
        """Return why nothing is sent to an address, or None if it is public."""
        if super().address_problem(address) is None:
            return None
        return f"{address} is not a public address; push services of browsers have public ones"
