"""The event loop of a terminal on MicroPython runs on while its link connects to nobody who answers.

The bar is in turns of the loop, not in wall time: of the turns that a task asks for each 10 ms it must get at least a tenth, and not more
than two tenths of a second may pass without one, which is what the machine itself may take when it is busy.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from firmware_agent.links.link import LinkSettings, Tls
from host_sim.pki import TestAuthority
from tests.links.support import RemoteLink, full_backlog, hangs, server

TIMEOUT_MS = 2000
LEAST_TURNS = TIMEOUT_MS // 100
MOST_SILENT_TENTHS = 2


async def turns_while_connecting(port: int, tls: Tls | None) -> tuple[str, int, int]:
    """How connect ended, the turns, and the tenths of a second without a turn."""
    link = await RemoteLink.start(LinkSettings("127.0.0.1", port, "T1", 30, tls))
    try:
        code, turns, silent = await asyncio.wait_for(link.call("turns_while_connecting", TIMEOUT_MS), 20)
        return code, turns, silent
    finally:
        await link.stop()


@pytest.fixture
def authority() -> TestAuthority:
    return TestAuthority()


def client_tls(authority: TestAuthority) -> Tls:
    credential = authority.client("T1")
    return Tls(authority.certificate_der, credential.certificate_der, credential.private_key_der, "localhost")


@pytest.mark.parametrize("secured", [False, True])
def test_a_black_hole_does_not_stall_the_terminal(authority: TestAuthority, secured: bool) -> None:
    with full_backlog() as port:
        assert hangs(port), "the system answers a connection to a full backlog: the test would prove nothing"
        code, turns, silent = asyncio.run(turns_while_connecting(port, client_tls(authority) if secured else None))
    assert code == "E_OFFLINE"
    assert turns >= LEAST_TURNS
    assert silent <= MOST_SILENT_TENTHS


def test_a_broker_that_is_silent_in_the_tls_handshake_does_not_stall_the_terminal(authority: TestAuthority) -> None:
    async def scenario() -> tuple[str, int, int]:
        async with server() as port:
            return await turns_while_connecting(port, client_tls(authority))

    code, turns, silent = asyncio.run(scenario())
    assert code == "E_TIMEOUT"
    assert turns >= LEAST_TURNS
    assert silent <= MOST_SILENT_TENTHS


def test_a_broker_that_never_says_connack_does_not_stall_the_terminal(authority: TestAuthority, tmp_path: Path) -> None:
    credential = authority.server()
    (tmp_path / "server.pem").write_bytes(credential.certificate_pem + credential.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    received = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            received.append(data)
        writer.close()

    async def scenario() -> tuple[str, int, int]:
        listener = await asyncio.start_server(swallow, "127.0.0.1", 0, ssl=context)
        try:
            return await turns_while_connecting(listener.sockets[0].getsockname()[1], client_tls(authority))
        finally:
            listener.close()

    code, turns, silent = asyncio.run(scenario())
    assert b"".join(received).startswith(b"\x10"), "the TLS handshake was not made, so no CONNECT came"
    assert code == "E_TIMEOUT"
    assert turns >= LEAST_TURNS
    assert silent <= MOST_SILENT_TENTHS
