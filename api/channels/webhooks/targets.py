"""Where webhooks may go: to public addresses, and to what an administrator of the server allows.

A webhook makes the server send a request to an address that somebody else has chosen. So it must
not reach what only the server's own network can reach (server-side request forgery, CWE-918).
"""

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

from yarl import URL

MAX_URL = 2_000
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.IGNORECASE)
_ALLOW = "PLACET_WEBHOOK_ALLOW"

# RFC 4291, section 2.4: all that is public is in here; RFC 6052: the prefix of NAT64.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# RFC 7526: whoever announces it takes what is sent to it.
_RELAYS = IPv4Network("192.88.99.0/24")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Targets:
    """What is allowed besides public addresses: networks, and hosts whatever address they have."""

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read networks, addresses and names of hosts, separated by commas.

        Raises ValueError, which names the part that is none of them.
        """
        networks: list[Network] = []
        hosts: set[str] = set()
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(ip_network(part.strip("[]")))
            except ValueError:
                hosts.add(_host(part))
        return cls(tuple(networks), frozenset(hosts))

    def allows_host(self, host: str) -> bool:
        """Whether the host is allowed by its name, whatever address it has."""
        return host.lower().rstrip(".") in self.hosts

    def url_problem(self, text: str) -> str | None:
        """Return what is wrong with the URL of a webhook, or None."""
        if not text.isprintable() or " " in text:
            return "the url has a character that no URL has: a blank, a line break or another one"
        try:
            url = URL(text)
            host, _ = url.raw_host, url.port
        except ValueError as error:
            return f"the url is not a URL: {error}"
        if len(text) > MAX_URL:
            return f"the url has {len(text)} characters, at most {MAX_URL} are possible"
        if url.scheme not in {"https", "http"} or not host:
            return "the url must begin with https:// and name a host"
        if url.user is not None or url.password is not None:
            return "the url has a user or a password in it; receivers check the signature instead"
        if url.fragment:
            return "the url has a fragment, which is never sent; leave out what follows the #"
        return None if self.allows_host(host) else self._host_problem(url.scheme, host)

    def _host_problem(self, scheme: str, host: str) -> str | None:
        address = _address(host)
        if address is None and _is_number(host):
            return f"the url names the address {host}; write it as four numbers, such as 192.0.2.1"
        if address is not None and (problem := self.address_problem(address)):
            return problem
        if scheme == "http" and (address is None or not self._named(address)):
            return (
                f"the url must begin with https://; http:// is possible only if {_ALLOW} names "
                f"the host {host}"
            )
        return None

    def address_problem(self, address: Address) -> str | None:
        """Return why nothing is sent to an address, or None if it is public or allowed."""
        if self._named(address):
            return None
        inner = embedded(address)
        kind = _kind(inner)
        if kind is None:
            return None
        leads = "" if inner == _without_scope(address) else f", which leads to {inner},"
        return (
            f"{address}{leads} is {kind}; webhooks go to public addresses only. To allow it, an "
            f"administrator of the server adds it to {_ALLOW}"
        )

    def _named(self, address: Address) -> bool:
        return any(
            one.version == network.version and one in network
            for one in {_without_scope(address), embedded(address)}
            for network in self.networks
        )


def embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, otherwise the address itself.

    That is so for IPv4-mapped addresses (RFC 4291, section 2.5.5.2), 6to4 (RFC 3056) and NAT64
    (RFC 6052).
    """
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if _without_scope(address) in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return _without_scope(address)


def _kind(address: Address) -> str | None:
    """Return what keeps an address from being public, None if it is public."""
    kinds: Iterable[tuple[bool, str]] = (
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address.is_private, "a private or reserved address"),
        (address.is_reserved, "a reserved address"),
        (not address.is_global or address in _RELAYS, "not a public address"),
    )
    found = next((text for applies, text in kinds if applies), None)
    if found is None and isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not a public address"
    return found


def _without_scope(address: Address) -> Address:
    """Return the address without the name of an interface, as in ``fe80::1%eth0``."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_number(host: str) -> bool:
    """Whether systems take the host for an address, such as 127.1 or 0x7f000001."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _host(text: str) -> str:
    """Return the name of a host as URLs have it. Raises ValueError."""
    try:
        url = URL(f"https://{text}/")
    except ValueError:
        url = URL()
    host = url.raw_host
    if not host or not _HOST.fullmatch(host) or url != URL(f"https://{host}/"):
        raise ValueError(
            f"{text!r} is neither a network, such as 10.1.0.0/16, nor an address, nor the name of "
            "a host without a port"
        )
    return host.lower().rstrip(".")
