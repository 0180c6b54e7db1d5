"""A terminal for tests of what keeps its state and speaks for it: real store, clock, keys and identity on parts in memory."""

from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.store import Store
from firmware_agent.terminal import Terminal
from hal.drivers.software_key import SoftwareKey
from hal.hal import Hal
from tests.core.parts import QuickCurve, clock, enabled

TERMINAL = "T0000001"
ACQUIRER = "acq1"


def identity(acquirer_keys=()):
    return Identity(
        TERMINAL,
        ACQUIRER,
        0,
        b"certificate",
        b"transport certificate",
        b"transport key",
        b"authority",
        list(acquirer_keys),
        "127.0.0.1",
        8883,
        "localhost",
    )


class Switched:
    """A device that is there: all that the state asks of it."""


def hal_on(flash, time=None, is_set=True, tests=("print", "scan", "pay"), curve=None):
    """The devices of a terminal with its files on `flash`, brought up as far as the core needs them."""
    hal = Hal("test_board", "hardware-1", clock(time, is_set), flash, enabled(SoftwareKey(flash, curve or QuickCurve())))
    hal.printer = Switched() if "print" in tests else None
    hal.scanner = Switched() if "scan" in tests else None
    hal.card_reader = Switched() if "pay" in tests else None
    return hal


def provisioned(flash, acquirer_keys=()):
    """Give an empty flash an identity."""
    store = Store(flash)
    store.open()
    store.put(KEY_IDENTITY, identity(acquirer_keys).encoded())


def boot(flash, time=None, is_set=True, tests=("print", "scan", "pay"), curve=None, segment_bytes=65536):
    """A terminal as the agent makes it at each boot, from what is on `flash`. Its lines are in `terminal.lines`."""
    lines = []
    hal = hal_on(flash, time, is_set, tests, curve)
    store = Store(flash, segment_bytes)
    store.open()
    Terminal.count_boot(store)
    terminal = Terminal(hal, store, Identity.load(store), lines.append)
    terminal.lines = lines
    terminal.booted()
    return terminal
