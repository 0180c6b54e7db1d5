"""Certificates of a device that was replaced: the authority lists them, and no broker lets them in after it was told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography import x509

from host_sim.brokers import EmbeddedBroker, MosquittoBroker
from host_sim.pki import TestAuthority
from tests.links.support import TIMEOUT_MS, error_of, link_of, settings

ACQUIRER = "acme"
BROKERS = [EmbeddedBroker, pytest.param(MosquittoBroker, marks=pytest.mark.needs("mosquitto"))]


def revoked_in(authority: TestAuthority) -> set[int]:
    return {entry.serial_number for entry in x509.load_pem_x509_crl(authority.crl_pem)}


def test_what_was_issued_to_a_name_so_far_is_revoked_and_nothing_else() -> None:
    authority = TestAuthority()
    old = [authority.client("T1"), authority.client("T1")]
    authority.client("T2")
    assert revoked_in(authority) == set()
    assert authority.revoke("T1") == 2
    new = authority.client("T1")
    assert revoked_in(authority) == {credential.certificate.serial_number for credential in old}
    assert authority.revoke("T1") == 1 and authority.revoke("T1") == 0 and authority.revoke("T3") == 0
    assert new.certificate.serial_number in revoked_in(authority)


def test_a_longer_list_is_a_later_one() -> None:
    authority = TestAuthority()
    authority.client("T1")
    first = x509.load_pem_x509_crl(authority.crl_pem)
    authority.revoke("T1")
    second = x509.load_pem_x509_crl(authority.crl_pem)
    assert second.last_update_utc > first.last_update_utc


def test_the_index_is_shared_by_processes(tmp_path: Path) -> None:
    one = TestAuthority()
    one.keep_index(tmp_path / "certificates")
    credential = one.client("T1")
    other = TestAuthority.loaded(one.saved())
    other.keep_index(tmp_path / "certificates")
    assert other.revoke("T1") == 1
    assert revoked_in(one) == {credential.certificate.serial_number}


@pytest.mark.parametrize("make", BROKERS)
def test_a_revoked_certificate_is_let_in_no_more_and_its_successor_is(make: type[EmbeddedBroker | MosquittoBroker], tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = TestAuthority()
        broker = make(tmp_path, authority, ACQUIRER)
        await broker.start()
        try:
            old, neighbour = authority.client("T1"), authority.client("T2")
            async with link_of("paho", settings(broker.port, authority, old)) as link:
                await link.connect(TIMEOUT_MS)
                await link.disconnect()
            authority.revoke("T1")
            new = authority.client("T1")
            await broker.read_revoked()
            for credential in (new, neighbour):
                async with link_of("paho", settings(broker.port, authority, credential)) as link:
                    await link.connect(TIMEOUT_MS)
                    await link.disconnect()
            async with link_of("paho", settings(broker.port, authority, old)) as link:
                error = await error_of(link.connect(TIMEOUT_MS))
                assert error.code in ("E_TLS", "E_OFFLINE", "E_REFUSED"), error
            await broker.restart()
            async with link_of("paho", settings(broker.port, authority, old)) as link:
                await error_of(link.connect(TIMEOUT_MS))
        finally:
            await broker.stop()

    asyncio.run(scenario())
