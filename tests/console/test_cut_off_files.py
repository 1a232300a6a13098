"""A file that is cut off while it is sent does not look complete."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

import placet
from bench.stack import Stack
from tests.console.asking import Asking
from tests.console.console_client import FORM
from tests.support.forked import stack

INCOMPLETE = "This file is not complete. Download it again."
FILE = "/audit/decisions.csv"


async def decided(server: Stack) -> None:
    """Record a decision."""
    async with Asking.on(server, "w") as asking:
        approval = await asking.ask("Pay")
        async with placet.Client(server.url, server.tokens["approver-a"]) as approver:
            done = await approver.grant(approval)
        await asking.operator.recorded_decisions(first=0, at_least=done.position)


async def signed_in(server: Stack) -> str:
    """Return the cookie of an auditor's session."""
    base = server.url.removesuffix("/graphql")
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        await http.post("/sign-in", content="person=auditor", headers=FORM)
        return "; ".join(f"{name}={value}" for name, value in http.cookies.items())


def answer_of(url: str, version: str, cookie: str) -> bytes:
    """Ask by this version of HTTP, and return all that comes until the connection ends."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        lines = [f"GET {FILE} HTTP/{version}", f"host: {parts.netloc}", f"cookie: {cookie}"]
        connection.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode())
        received = b""
        while more := connection.recv(65_536):
            received += more
        return received


async def test_a_file_whose_reading_fails_says_so_and_its_answer_has_no_end(
    log_url: str, tmp_path: Path
) -> None:
    with stack(tmp_path / "server", database_url=log_url) as server:
        await decided(server)
        cookie = await signed_in(server)
        whole = answer_of(server.url, "1.1", cookie)
        assert whole.endswith(b"\r\n0\r\n\r\n")
        assert INCOMPLETE.encode() not in whole

        with psycopg.connect(log_url) as connection:
            connection.execute("UPDATE decisions SET body = 'x'")
        cut = answer_of(server.url, "1.1", cookie)
        assert b"200 OK" in cut
        assert not cut.endswith(b"0\r\n\r\n")
        # A client of HTTP/1.0, such as a proxy, can't see the difference.
        plain = answer_of(server.url, "1.0", cookie)
        for answer in (cut, plain):
            assert [line for line in answer.splitlines() if line][-1] == INCOMPLETE.encode()
        headers = {"cookie": cookie}
        async with httpx.AsyncClient(headers=headers, timeout=60) as http:
            with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
                await http.get(server.url.removesuffix("/graphql") + FILE)
