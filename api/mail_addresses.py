"""Addresses of mails (RFC 5322, section 3.4), checked before they get into a header."""

from email.errors import MessageError
from email.headerregistry import Address
from email.utils import parseaddr
from typing import NamedTuple

from api.visible_text import one_line

MAX_ADDRESS = 254
MAX_NAME = 100


class Mailbox(NamedTuple):
    """A name to show, which may be empty, and an address in ASCII."""

    name: str
    address: str


class Sender(NamedTuple):
    """Who mails come from. ``domain`` also ends the ids of mails."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """The part after the @."""
        return self.address.rpartition("@")[2]

    @property
    def mailbox(self) -> Mailbox:
        """Name and address for the header From."""
        return mailbox_of(self.address, self.name)


def mailbox_of(address: str, name: str | None = None) -> Mailbox:
    """Return an address and a name for a header. Raises ValueError if it is none."""
    text = address.strip()
    local, at, domain = text.rpartition("@")
    if not (local and at and domain) or len(text) > MAX_ADDRESS or not text.isprintable():
        raise ValueError(_wrong(address))
    if any(character in text for character in ' ,;:<>()[]"\\'):
        raise ValueError(_wrong(address))
    try:
        # RFC 5891: a domain in the letters of a language has a form in ASCII too.
        ascii_domain = domain.encode("idna").decode()
        checked = Address(addr_spec=f"{local}@{ascii_domain}").addr_spec
    except (MessageError, ValueError, IndexError):
        raise ValueError(_wrong(address)) from None
    return Mailbox(one_line(name or "", MAX_NAME), checked)


def sender_of(text: str) -> Sender:
    """Return the sender in a text such as ``Placet <placet@example.com>``. Raises ValueError."""
    name, address = parseaddr(text)
    if not address:
        raise ValueError(_wrong(text))
    return Sender(name, mailbox_of(address).address)


def _wrong(text: str) -> str:
    return f"{one_line(text, 80)!r} is not an address; write placet@example.com"
