"""Driver: a card reader behind PC/SC (pcscd), for contact or contactless cards. Contract: hal/card_reader.py, level 2.

Source: the API of pcsc-lite (PCSC/winscard.h); PC/SC part 3 (the ATR of a contactless memory card); ISO/IEC 7816-3, 12.2 (commands over
T=0) and 7816-4 (status words 61xx and 6Cxx).

Another program may use the reader between two cards: the card is shared, and is not held while nobody asks for it.
"""

import errno
import os
import socket
import threading
import weakref

from smartcard import scard  # type: ignore[import-untyped]

from hal.card_reader import CONTRACT
from hal.device import HEALTH_SUCCESS, Device, Health
from hal.drivers.linux.device_file import unusable
from hal.drivers.linux.worker import Worker
from hal.errors import (
    E_BUSY,
    E_EXTENDED,
    E_FAILURE,
    E_ILLEGAL,
    E_NOHARDWARE,
    E_NOSERVICE,
    E_OFFLINE,
    E_TIMEOUT,
    ESC_NO_CARD,
    ESC_READ,
    ESC_TORN,
    DeviceError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from hal.clock import Clock

    T = TypeVar("T")

_SOCKET = "/run/pcscd/pcscd.comm"  # of pcscd, unless the environment names another
_SOCKET_NAMED_BY = "PCSCLITE_CSOCK_NAME"

_ANSWER_MS = 1500  # pcscd itself, or a reader that powers a card up
_LOOK_MS = 500  # the longest that one call waits for a card: one that is left behind ends by itself
_SETTLE_MS = 600  # pcscd looks at a slot every 400 ms, where the reader does not tell it by itself
_SHORTEST_APDU, _LONGEST_APDU = 4, 261  # a short APDU with Lc and Le (ISO 7816-4)
_LONGEST_ANSWER = 258

_NO_LE = b"\x00"  # P3 of a command over T=0 that has no data
_GET_RESPONSE = b"\x00\xc0\x00\x00"
_MORE = 0x61  # SW1: SW2 bytes can be fetched
_OTHER_LE = 0x6C  # SW1: SW2 is the length that has to be asked for
_MEMORY_CARD = b"\x4f\x0c\xa0\x00\x00\x03\x06"  # in an ATR: the PC/SC workgroup's identifier, followed by the kind of memory card

_PROTOCOLS = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1

_SERVICE_LOST = (scard.SCARD_E_NO_SERVICE, scard.SCARD_E_SERVICE_STOPPED, scard.SCARD_F_COMM_ERROR, scard.SCARD_E_INVALID_HANDLE)
_REFUSED = (scard.SCARD_W_SECURITY_VIOLATION, scard.SCARD_E_NO_ACCESS)
_READER_GONE = (scard.SCARD_E_NO_READERS_AVAILABLE, scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE)
_CARD_GONE = (scard.SCARD_W_REMOVED_CARD, scard.SCARD_E_NO_SMARTCARD)
_CARD_DEAD = (scard.SCARD_W_UNRESPONSIVE_CARD, scard.SCARD_W_UNPOWERED_CARD)
_OTHER_CARD = (scard.SCARD_E_PROTO_MISMATCH, scard.SCARD_W_UNSUPPORTED_CARD)
_SHARED = (scard.SCARD_E_SHARING_VIOLATION, scard.SCARD_W_RESET_CARD)


class PcscError(Exception):
    """A call of PC/SC was refused. code: SCARD_*."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__("0x%08X %s" % (code, scard.SCardGetErrorMessage(code)))


class _Session:
    """One context of PC/SC, and at most one card in it. All calls block, and raise PcscError.

    It is released when nobody uses it any more: not while a call that was given up still hangs in it.
    """

    def __init__(self) -> None:
        code, self._context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        if code in _SERVICE_LOST and _is_served():  # before 2.0, pcscd only hangs up on whom polkit refuses
            code = scard.SCARD_W_SECURITY_VIOLATION
        if code != scard.SCARD_S_SUCCESS:
            raise PcscError(code)
        weakref.finalize(self, _release, self._context).atexit = False  # pcscd sees the end of the process
        self._card: int | None = None
        self.protocol = scard.SCARD_PROTOCOL_UNDEFINED  # of the card

    def readers(self) -> "list[str]":
        names: list[str] = _given(scard.SCardListReaders(self._context, []))
        return names

    def state(self, reader: str, known: int, timeout_ms: int) -> int:
        """The reader's SCARD_STATE_* as soon as it is another than `known`, or when the time is over."""
        code, states = scard.SCardGetStatusChange(self._context, timeout_ms, [(reader, known)])
        if code == scard.SCARD_E_TIMEOUT:
            return known
        if code != scard.SCARD_S_SUCCESS:
            raise PcscError(code)
        state: int = states[0][1] & ~scard.SCARD_STATE_CHANGED
        return state

    def connect(self, reader: str) -> bytes:
        """Power the card up, and agree on a protocol. Gives its ATR."""
        self._card, self.protocol = _given(scard.SCardConnect(self._context, reader, scard.SCARD_SHARE_SHARED, _PROTOCOLS))
        *_, atr = _given(scard.SCardStatus(self._card))
        return bytes(atr)

    def transmit(self, command: bytes) -> bytes:
        protocol = scard.SCARD_PCI_T0 if self.protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        return bytes(_given(scard.SCardTransmit(self._card, protocol, list(command))))

    def reset(self) -> None:
        """Power the card down and up: it has to begin anew, if it is there."""
        self.protocol = _given(scard.SCardReconnect(self._card, scard.SCARD_SHARE_SHARED, _PROTOCOLS, scard.SCARD_UNPOWER_CARD))

    def disconnect(self) -> None:
        """Take the power from the card."""
        card, self._card = self._card, None
        if card is not None:
            _given(scard.SCardDisconnect(card, scard.SCARD_UNPOWER_CARD))

    def version(self, reader: str) -> bytes:
        """The reader's version, a number of 4 bytes; b'' where its driver does not tell."""
        handle, _ = _given(scard.SCardConnect(self._context, reader, scard.SCARD_SHARE_DIRECT, scard.SCARD_PROTOCOL_UNDEFINED))
        code, value = scard.SCardGetAttrib(handle, scard.SCARD_ATTR_VENDOR_IFD_VERSION)
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        return bytes(value) if code == scard.SCARD_S_SUCCESS else b""


class Pcsc(Device):
    """reader: part of its name, as pcsc_scan lists it; the first reader whose name has it is taken, of all if it is empty."""

    kind = CONTRACT.kind
    part = "pcsc"
    level = 2

    def __init__(self, clock: "Clock", reader: str = "") -> None:
        super().__init__()
        self._clock = clock
        self._wanted = reader
        self._worker = Worker("pcsc", clock)
        self._session: _Session | None = None
        self._reader = ""  # its whole name
        self._found = False  # a card, and it is still there as far as is known
        self._is_memory_card = False

    # The contract.

    async def find_card(self, timeout_ms: int) -> bool:
        """Wait until a card is in the reader, and power it up. True: it is ready for exchange; False: none came in time.

        Raises E_EXTENDED with ESC_READ for one that does not power up; E_NOHARDWARE (no reader), E_NOSERVICE (no pcscd), E_FAILURE,
        E_BUSY (another program has the card), E_TIMEOUT, E_OFFLINE.
        """
        self.require_enabled()
        until_ms = self._clock.monotonic_ms() + timeout_ms
        await self._release()
        session = await self._open()
        known = scard.SCARD_STATE_UNAWARE
        while True:
            left_ms = max(0, until_ms - self._clock.monotonic_ms())
            known = await self._state(session, known, min(left_ms, _LOOK_MS))
            if known & scard.SCARD_STATE_PRESENT:
                if await self._power_up(session):
                    return True
                known = scard.SCARD_STATE_EMPTY
            if self._clock.monotonic_ms() >= until_ms:
                return False

    async def exchange(self, apdu: bytes, timeout_ms: int = 1000) -> bytes:
        """Send an APDU of 4..261 bytes to the card found; gives its answer, 2..258 bytes, SW1 SW2 last.

        Raises E_EXTENDED with ESC_NO_CARD (none found), ESC_TORN (it has gone), ESC_READ (what came is no answer); E_TIMEOUT (the card is
        there and says nothing); E_ILLEGAL (length of apdu); what find_card raises for the reader.
        """
        self.require_enabled()
        if not _SHORTEST_APDU <= len(apdu) <= _LONGEST_APDU:
            raise DeviceError(E_ILLEGAL, self.kind, "APDU of %d bytes" % len(apdu))
        session = self._session
        if session is None or not self._found:
            raise DeviceError(E_EXTENDED, self.kind, "no card was found", ESC_NO_CARD, "no_card")
        if self._is_memory_card:
            raise self._not_for_apdus("a memory card")
        until_ms = self._clock.monotonic_ms() + timeout_ms
        if session.protocol == scard.SCARD_PROTOCOL_T0:
            answer = await self._exchange_t0(session, apdu, until_ms)
        else:
            answer = await self._transmit(session, apdu, until_ms)
        if len(answer) > _LONGEST_ANSWER:
            raise self._unreadable("card answer of %d bytes" % len(answer))
        return answer

    async def release_card(self) -> None:
        """Take the power from the card, if any, and forget it."""
        self.require_enabled()
        await self._release()

    async def firmware_version(self) -> str:
        """The reader's name, and its version where its driver tells: 'ACS ACR39U ICC Reader 00 00 1.04'."""
        self.require_enabled()
        session = await self._open()
        version = await self._ask(lambda: session.version(self._reader))
        return self._reader + version_text(version)

    # Life cycle.

    async def _bring_up(self) -> None:
        self._found = False
        await self._open()

    def _shut_down(self) -> None:
        self._leave()
        self._worker.stop()

    async def _check_health(self, level: int) -> Health:
        """That pcscd answers, and has the reader; measures how long that took. A card that is there is left alone."""
        start_ms = self._clock.monotonic_ms()
        session = await self._open()
        await self._state(session)
        return Health(HEALTH_SUCCESS, self.kind, measurements={"answer_ms": self._clock.monotonic_ms() - start_ms})

    # Service and reader.

    async def _open(self) -> _Session:
        """The session, begun anew where pcscd was. Raises DeviceError where there is no pcscd or no such reader."""
        if self._session is not None:
            try:
                self._reader = await self._find_reader(self._session)
                return self._session
            except DeviceError as error:
                if error.code != E_NOSERVICE:
                    raise
        session = await self._ask(_Session)
        self._reader = await self._find_reader(session)
        self._session = session
        return session

    async def _find_reader(self, session: _Session) -> str:
        names = await self._ask(session.readers)
        for name in names:
            if self._wanted in name:
                return name
        raise self._unplugged("no reader %r among %s" % (self._wanted, ", ".join(names)))

    async def _state(self, session: _Session, known: int = scard.SCARD_STATE_UNAWARE, wait_ms: int = 0) -> int:
        """As _Session.state. Raises DeviceError for a reader that has gone, or does not answer pcscd."""
        state = await self._ask(lambda: session.state(self._reader, known, wait_ms), wait_ms + _ANSWER_MS)
        if state & scard.SCARD_STATE_UNKNOWN:
            raise self._unplugged(self._reader + " is gone")
        if state & scard.SCARD_STATE_UNAVAILABLE:
            raise DeviceError(E_OFFLINE, self.kind, self._reader + " does not answer pcscd", cause="no_answer")
        return state

    # Card.

    async def _power_up(self, session: _Session) -> bool:
        """False for a card that had gone, and pcscd had not seen it yet. One that is still on its way in gets a second chance. Raises
        DeviceError.
        """
        try:
            await self._connect(session)
        except DeviceError as error:
            if error.cause not in ("card_torn", "card_unreadable"):
                raise
            if await self._is_empty(session):
                return False
            await self._connect(session)
        return True

    async def _connect(self, session: _Session) -> None:
        atr = await self._ask(lambda: session.connect(self._reader))
        self._found = True
        self._is_memory_card = _MEMORY_CARD in atr

    async def _is_empty(self, session: _Session) -> bool:
        """Whether pcscd finds the slot empty when it looks at it next."""
        known = scard.SCARD_STATE_UNAWARE
        until_ms = self._clock.monotonic_ms() + _SETTLE_MS
        while not known & scard.SCARD_STATE_EMPTY:
            left_ms = until_ms - self._clock.monotonic_ms()
            if left_ms <= 0:
                return False
            known = await self._state(session, known, left_ms)
        return True

    async def _release(self) -> None:
        self._found = False
        session = self._session
        if session is not None:
            try:
                await self._call(session.disconnect, _ANSWER_MS)
            except PcscError as error:  # what is gone is released
                if error.code not in _SERVICE_LOST + _READER_GONE + _CARD_GONE:
                    raise self._error(error)

    async def _exchange_t0(self, session: _Session, apdu: bytes, until_ms: int) -> bytes:
        """T=0 sends data in one direction only: what answers a command with data is fetched. A length that was wrong is asked for anew."""
        command = apdu
        if len(apdu) == _SHORTEST_APDU:
            command = apdu + _NO_LE
        elif len(apdu) == 6 + apdu[4]:
            command = apdu[:-1]
        answer = b""
        while len(answer) <= _LONGEST_ANSWER:
            part = await self._transmit(session, command, until_ms)
            answer += part[:-2]
            if part[-2] == _OTHER_LE and len(command) == 5 and command[4] != part[-1]:
                command = command[:4] + part[-1:]
            elif part[-2] == _MORE:
                command = _GET_RESPONSE + part[-1:]
            else:
                return answer + part[-2:]
        return answer

    async def _transmit(self, session: _Session, command: bytes, until_ms: int) -> bytes:
        """One command and its answer, of 2 bytes at least. Raises DeviceError: what is the card's is told from what is the reader's."""
        left_ms = until_ms - self._clock.monotonic_ms()
        answer = b""
        try:
            answer = await self._call(lambda: session.transmit(command), left_ms)
        except PcscError as error:
            if error.code != scard.SCARD_E_NOT_TRANSACTED:
                raise self._error(error)
        except DeviceError as error:
            if error.code == E_TIMEOUT:  # the reader still waits for the card, and pcscd for the reader: it is asked in another session
                state = await self._state(await self._open())
                raise self._silent() if state & scard.SCARD_STATE_PRESENT else self._torn()
            raise
        if not answer:
            raise await self._why_silent(session)
        if len(answer) == 1:
            raise self._unreadable("card answer of 1 byte")
        return answer

    async def _why_silent(self, session: _Session) -> DeviceError:
        """The reader had no answer from the card: one that still answers to a reset is there, and its contacts are sound."""
        try:
            await self._ask(session.reset)
        except DeviceError as error:
            return error
        return self._silent()

    # Calls and errors.

    async def _ask(self, function: "Callable[[], T]", timeout_ms: int = _ANSWER_MS) -> "T":
        """As _call. Raises DeviceError only."""
        try:
            return await self._call(function, timeout_ms)
        except PcscError as error:
            raise self._error(error)

    async def _call(self, function: "Callable[[], T]", timeout_ms: int) -> "T":
        """What `function()` gives, called in the worker's thread. Raises PcscError; DeviceError E_TIMEOUT, and then the session is left to
        the call that hangs in it.
        """
        hangs = True
        try:
            result = await self._worker.call(function, timeout_ms)
            hangs = False
            return result
        except PcscError:
            hangs = False
            raise
        except OSError as error:
            if error.errno != errno.ETIMEDOUT:
                raise
            raise DeviceError(E_TIMEOUT, self.kind, "pcscd does not answer", cause="no_answer")
        finally:
            if hangs:
                self._leave()

    def _leave(self) -> None:
        self._session = None
        self._found = False

    def _error(self, error: PcscError) -> DeviceError:
        """What a refused call means."""
        code = error.code
        if code in _SERVICE_LOST:
            return self._no_service()
        if code in _REFUSED:
            return DeviceError(E_FAILURE, self.kind, "polkit refuses org.debian.pcsc-lite.access_pcsc to this user", cause="no_permission")
        if code in _READER_GONE:
            return self._unplugged("pcscd has no reader")
        if code in _CARD_GONE:
            return self._torn()
        if code in _CARD_DEAD:
            return self._unreadable("the card does not answer to a reset")
        if code in _OTHER_CARD:
            return self._not_for_apdus("a card without T=0 and T=1")
        if code in _SHARED:
            return DeviceError(E_BUSY, self.kind, "another program uses the card", cause="check_failed")
        return DeviceError(E_FAILURE, self.kind, str(error), cause="check_failed")

    def _no_service(self) -> DeviceError:
        """libpcsclite has one code for a service that does not run and for a socket that this user may not open."""
        path = _socket_path()
        try:
            os.stat(path)
        except PermissionError as error:
            return unusable(self.kind, path, error)
        except OSError:
            return DeviceError(E_NOSERVICE, self.kind, "pcscd does not run: there is no " + path, cause="service_down")
        if not os.access(path, os.W_OK, effective_ids=True):
            return unusable(self.kind, path, PermissionError(errno.EACCES, ""))
        return DeviceError(E_NOSERVICE, self.kind, "pcscd does not answer at " + path, cause="service_down")

    def _unplugged(self, detail: str) -> DeviceError:
        return DeviceError(E_NOHARDWARE, self.kind, detail, cause="unplugged")

    def _torn(self) -> DeviceError:
        self._found = False
        return DeviceError(E_EXTENDED, self.kind, "the card was taken away", ESC_TORN, "card_torn")

    def _silent(self) -> DeviceError:
        return DeviceError(E_TIMEOUT, self.kind, "the card is there and does not answer", cause="card_silent")

    def _unreadable(self, detail: str) -> DeviceError:
        return DeviceError(E_EXTENDED, self.kind, detail, ESC_READ, "card_unreadable")

    def _not_for_apdus(self, what: str) -> DeviceError:
        return DeviceError(E_EXTENDED, self.kind, what + " takes no APDU", ESC_READ, "not_a_payment_card")


def _given(result: "tuple[int, ...]") -> "Any":
    """What a call of PC/SC gives besides its code. Raises PcscError."""
    code, *values = result if isinstance(result, (list, tuple)) else (result,)
    if code != scard.SCARD_S_SUCCESS:
        raise PcscError(code)
    return values[0] if len(values) == 1 else values


def _socket_path() -> str:
    return os.environ.get(_SOCKET_NAMED_BY, _SOCKET)


def _is_served() -> bool:
    """Whether somebody takes calls there."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_ANSWER_MS / 1000)
        return client.connect_ex(_socket_path()) == 0


def _release(context: int) -> None:
    """In a thread of its own: pcscd may hang."""
    threading.Thread(target=scard.SCardReleaseContext, args=(context,), name="pcsc release", daemon=True).start()


def version_text(version: bytes) -> str:
    """' 1.04' of SCARD_ATTR_VENDOR_IFD_VERSION: 0xMMmmbbbb, little-endian, in decimal digits; '' where there is none."""
    return " %x.%02x" % (version[3], version[2]) if len(version) == 4 else ""
