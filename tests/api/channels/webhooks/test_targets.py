"""Webhooks reach public addresses and what is allowed, and nothing else."""

from ipaddress import ip_address

import pytest

from api.channels.webhooks.targets import Targets

PUBLIC = (
    "8.8.8.8",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::808:808",
)
REFUSED = (
    # loopback, unspecified, private, link-local, shared, documentation, multicast, reserved
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1"),
    *("ff02::1", "ff0e::1", "2001:db8::1", "100::1", "4000::1", "2001:0:7f00:1::"),
    # IPv4 addresses within IPv6: mapped, compatible, 6to4, NAT64
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"),
)


def test_public_addresses_are_possible_and_all_others_are_not() -> None:
    nothing = Targets()
    for text in PUBLIC:
        assert nothing.address_problem(ip_address(text)) is None, text
    for text in REFUSED:
        problem = nothing.address_problem(ip_address(text))
        assert problem is not None, text
        assert "PLACET_WEBHOOK_ALLOW" in problem


def test_what_is_allowed_is_possible_however_it_is_written() -> None:
    allowed = Targets.parse("10.1.0.0/16, 127.0.0.1 ,[::1]")
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "127.0.0.1", "::1"):
        assert allowed.address_problem(ip_address(text)) is None, text
    for text in ("10.2.0.1", "127.0.0.2", "::2"):
        assert allowed.address_problem(ip_address(text)) is not None, text


def test_a_host_is_allowed_by_its_name() -> None:
    allowed = Targets.parse("Hooks.Internal.,münchen.example")
    for url in ("http://hooks.internal/x", "https://HOOKS.internal./", "http://münchen.example/"):
        assert allowed.url_problem(url) is None, url
    assert allowed.url_problem("http://other.internal/") is not None


@pytest.mark.parametrize(
    "text",
    ["http://a", "a:80", "u@a", "10.0.0.0/33", "a b", "10.0.0.1/8", "*", "a..b", "a?b", "a#b"],
)
def test_what_is_neither_a_network_nor_a_host_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is neither a network"):
        Targets.parse(f"10.0.0.0/8,{text}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.com/", "must begin with https://"),
        ("//example.com/", "must begin with https://"),
        ("https:///path", "must begin with https://"),
        ("https://[::1", "is not a URL"),
        ("https://example.com/\ud800", "has a character that no URL has"),
        ("https://example.com/\0", "has a character that no URL has"),
        ("https://example.com /", "has a character that no URL has"),
        ("https://example.com:99999/", "is not a URL"),
        ("https://ann:secret@example.com/", "a user or a password"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/" + "x" * 2_000, "at most 2000"),
        ("http://example.com/", "http:// is possible only if PLACET_WEBHOOK_ALLOW names the host"),
        ("http://8.8.8.8/", "http:// is possible only if"),
        ("https://127.0.0.1/", "loopback"),
        ("https://0x7f000001/", "write it as four numbers"),
        ("https://[::ffff:10.0.0.1]/", "which leads to 10.0.0.1, is a private"),
    ],
)
def test_a_url_that_is_not_possible_is_explained(url: str, says: str) -> None:
    problem = Targets().url_problem(url)
    assert problem is not None
    assert says in problem
    assert "secret" not in problem


def test_a_public_host_is_possible_by_https() -> None:
    assert Targets().url_problem("https://example.com:8443/placet?x=1") is None
