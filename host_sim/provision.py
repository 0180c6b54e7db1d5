"""What factory and installer put into a terminal: keys made inside it, names, certificates, settings, and its first state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware_agent.identity.der import ec_private_key
from firmware_agent.identity.identity import KEY_FACTORY, KEY_IDENTITY, Identity
from firmware_agent.identity.technician import EXTERNAL_AAD, badge_payload, set_pin
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.settings import Settings
from firmware_agent.state.machine import Booted, FunctionTestPassed, State, reduce
from firmware_agent.store import Store
from firmware_agent.terminal import KEY_STATE, function_tests
from hal.drivers.software_key import SoftwareKey
from hal.hal import Hal
from host_sim.acquirer.acquirer import Acquirer
from host_sim.pki import TestAuthority

if TYPE_CHECKING:
    from hal.secure_element import SecureElement

SLOT = 0
BROKER_HOST = "broker.acq1.example"  # that the bench's DNS server knows (host_sim/chips/wifi.py)
BROKER_ADDRESS = "127.0.0.1"  # for a board without a network device, which would ask a real one
BROKER_NAME = "localhost"


async def provision(
    hal: Hal, terminal: str, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str], pin: str = ""
) -> None:
    """Make a terminal as it leaves the installer: enrolled, function tests passed, in service. The terminal's files must be empty.

    hal: with storage and secure element; they are brought up here; pin: the technician's, '' for none.
    """
    element = hal.secure_element
    for device in hal.devices():
        if device.kind in ("storage", "secure_element"):
            device.open()
            device.claim()
            await device.enable()
    public_key = await element.generate_key(SLOT)
    transport_private, transport_public = await element.transport_key()
    identity = Identity(
        terminal,
        acquirer.name,
        SLOT,
        authority.client(terminal, public_key).certificate_der,
        authority.client(terminal, transport_public).certificate_der,
        ec_private_key(transport_private, transport_public),
        authority.certificate_der,
        [acquirer.public_key],
        BROKER_ADDRESS if hal.network is None else BROKER_HOST,
        broker_port,
        BROKER_NAME,
        acquirer.public_sealing_key,
    )
    store = Store(hal.storage)
    store.open()
    record = factory_record(hal.hardware_id, acquirer, authority, broker_of(hal, broker_port))
    store.put_all([(KEY_FACTORY, record.encoded()), (KEY_IDENTITY, identity.encoded())])
    kept = Settings(store)
    for name, value in settings.items():
        kept.set(name, value)
    await commission(hal, store, element, pin)
    acquirer.enrol(terminal, public_key)


async def factory(hal: Hal, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str]) -> None:
    """Make a device as it leaves the factory: it knows whom to ask who it is, and a certificate for TLS says which device asks. Its files
    must be empty. hal: as for `provision`; settings: its language, and the network that it finds in the shop.
    """
    for device in hal.devices():
        if device.kind in ("storage", "secure_element"):
            device.open()
            device.claim()
            await device.enable()
    store = Store(hal.storage)
    store.open()
    store.put(KEY_FACTORY, factory_record(hal.hardware_id, acquirer, authority, broker_of(hal, broker_port)).encoded())
    kept = Settings(store)
    for name, value in settings.items():
        kept.set(name, value)


def factory_record(hardware_id: str, acquirer: Acquirer, authority: TestAuthority, broker: tuple[str, int, str]) -> Identity:
    """Whom a device asks who it is, and with which certificate. broker: host, port, name in its certificate."""
    credential = authority.client(hardware_id)
    return Identity(
        hardware_id,
        acquirer.name,
        SLOT,
        b"",
        credential.certificate_der,
        credential.private_key_der,
        authority.certificate_der,
        [acquirer.public_key],
        *broker,
        acquirer.public_sealing_key,
    )


def broker_of(hal: Hal, port: int) -> tuple[str, int, str]:
    """Host, port, and name in the certificate, of the desktop's broker as that terminal finds it."""
    return BROKER_ADDRESS if hal.network is None else BROKER_HOST, port, BROKER_NAME


async def commission(hal: Hal, store: Store, element: SecureElement, pin: str) -> None:
    """What the installer does at last: each function test that the devices allow, and the technician's PIN. element: for random numbers."""
    store.put(KEY_STATE, encode(_commissioned(hal).to_list()))
    if pin:
        await set_pin(store, element, hal.clock, pin)


async def issue_badge(
    element: SoftwareKey, slot: int, public_key: bytes, acquirer: str, number: str, name: str, expires: int
) -> tuple[bytes, bytes]:
    """(badge, the card's private key) of a new badge, signed by the acquirer's key in that slot, whose public key is given. The card's key
    is made here only because there is no card that makes its own. expires: Unix seconds.
    """
    private_key, card_key = await element.transport_key()
    payload = badge_payload(acquirer, number, name, expires, card_key)
    return await sign(element, slot, key_id(public_key), payload, EXTERNAL_AAD), private_key


def _commissioned(hal: Hal) -> State:
    """The installer has done each function test that the devices allow: the machine itself then puts the terminal in service."""
    tests = function_tests(hal)
    state, _ = reduce(State(), Booted(tests))
    for test in tests:
        state, _ = reduce(state, FunctionTestPassed(test))
    return state
