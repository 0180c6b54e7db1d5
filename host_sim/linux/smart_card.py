"""A card reader behind pcscd, and the cards that people put into it. A card speaks vpcd's protocol: two bytes of length, then an APDU or a
control byte. Sources: vsmartcard's vpcd.h; PC/SC part 3 (the ATR of a contactless card); ISO/IEC 7816-3.
"""

from __future__ import annotations

import asyncio
import functools
import operator
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from host_sim.chips.cards import Card, MuteCard, NoPpseCard, RefusingCard
from host_sim.chips.faces import Fault
from host_sim.linux.interface import Interface
from host_sim.linux.pcscd import READER, SLOT, Pcscd

POWER_OFF, POWER_ON, RESET, ASK_ATR = 0, 1, 2, 4  # control bytes
WAITING_S = 0.3  # after which the reader gives a silent card up
SWAP_S = 0.5  # a person needs longer than pcscd, which looks at the slot every 0.4 s, between taking a card out and putting one in
NOISE = bytes(range(40))  # longer than any ATR
SPEAKS_APDUS = 0x20  # in SEL_RES

T0_ATR = bytes.fromhex("3B640000") + b"CARD"
CONTACTLESS = bytes.fromhex("8001")  # TD1, TD2 of PC/SC part 3: T=0 is named, T=1 spoken
MEMORY_CARD = bytes.fromhex("804F0CA00000030603000100000000")  # its historical bytes: type A, 1 kB

GET_RESPONSE = 0xC0


def contactless_atr(card: Card) -> bytes:
    """What a reader makes of a contactless card's answer to select, by PC/SC part 3."""
    historical = MEMORY_CARD
    if card.sel_res & SPEAKS_APDUS:
        interface_bytes = bin(card.ats[1] & 0x70).count("1") if len(card.ats) > 1 else 0
        historical = card.ats[2 + interface_bytes :]
    body = bytes([0x80 | len(historical)]) + CONTACTLESS + historical
    return b"\x3b" + body + bytes([functools.reduce(operator.xor, body)])


class SpeaksT0:
    """A card in a contact slot: data goes in one direction in each command, and what a command brings forth is fetched."""

    def __init__(self, ask: Callable[[bytes], bytes | None]) -> None:
        self._ask = ask
        self._kept = b""  # data and status word that wait to be fetched

    def transceive(self, command: bytes) -> bytes | None:
        if command[1] == GET_RESPONSE and self._kept:
            return self._fetched(command[4])
        if len(command) > 5:  # with data, and no Le
            answer = self._ask(command + b"\x00")
            if answer is None or len(answer) == 2:
                return answer
            self._kept = answer
            return bytes([0x61, len(answer) - 2 & 0xFF])
        answer = self._ask(command)
        if answer is None or len(answer) == 2:
            return answer
        self._kept = answer
        return self._fetched(command[4])

    def _fetched(self, length: int) -> bytes:
        """All of it, where that length was asked for; else the length that there is."""
        there = len(self._kept) - 2
        if (length or 256) != there:
            return bytes([0x6C, there & 0xFF])
        kept, self._kept = self._kept, b""
        return kept


class Contacts(asyncio.Protocol):
    """Between the slot and the card in it: from when the card is in until it is out."""

    def __init__(self, slot: SmartCardReader) -> None:
        self._slot = slot
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._is_reset = False  # the next ATR is asked for after a reset

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        line: socket.socket = transport.get_extra_info("socket")
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closed is torn: with a reset
        self._acknowledge_at_once()

    def data_received(self, data: bytes) -> None:
        self._acknowledge_at_once()
        self._received += data
        while len(self._received) >= 2:
            end = 2 + int.from_bytes(self._received[:2], "big")
            if len(self._received) < end:
                break
            message = bytes(self._received[2:end])
            del self._received[:end]
            if len(message) == 1:
                self._control(message[0])
            else:
                self._slot.asked(self, message)

    def send(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.write(len(message).to_bytes(2, "big") + message)

    def open(self) -> None:
        """No contact any more."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _control(self, control: int) -> None:
        if control in (POWER_ON, RESET):
            self._is_reset = True
        elif control == ASK_ATR:
            self.send(self._slot.atr(self._is_reset))
            self._is_reset = False

    def _acknowledge_at_once(self) -> None:
        """vpcd sends length and message in two pieces, and the second waits for the acknowledgement of the first. The kernel forgets it."""
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class SmartCardReader(Interface):
    """A reader with one slot, plugged into a machine that runs a pcscd of its own.

    The faults of component 'card' are what happens to each card that is put in while they are on.
    """

    kind = "card_reader"
    part = "pcsc"
    FAULTS: ClassVar[dict[str, Fault]] = {
        "service_stopped": Fault("pcscd does not run", "service_down"),
        "unplugged": Fault("the reader is not plugged in: pcscd has none", "unplugged"),
        "slot_dead": Fault("the switch in the slot is broken: no card is ever seen", "no_card"),
        "contacts_worn": Fault("what a card answers to a reset is noise", "card_unreadable"),
        "garbled_answers": Fault("of what a card answers one byte arrives", "card_unreadable"),
        "card_torn": Fault("the card is taken away while it is read", "card_torn", "card"),
        "card_without_ppse": Fault("the card is none that pays: it answers 6A82", "not_a_payment_card", "card"),
        "card_refuses": Fault("the card takes no command: it answers 6700", "card_refused", "card"),
        "card_mute": Fault("the card powers up, and answers nothing", "card_silent", "card"),
    }
    HABITS: ClassVar[dict[str, str]] = {
        "contact_cards": "cards are contact cards that speak T=0: what they answer is fetched with GET RESPONSE",
        "long_answers": "cards answer with all that a short APDU holds: 256 bytes and a status word",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.apdus: list[bytes] = []  # what the cards were asked, for tests
        self.pcscd = Pcscd(folder)
        self._started = False
        self.waiting_s = WAITING_S
        self._card: Card | None = None
        self._speaks_t0: SpeaksT0 | None = None  # of the card in the slot; None: it speaks T=1
        self._contacts: Contacts | None = None
        self._meeting: asyncio.Task[None] | None = None  # while the card is on its way to its contacts
        self._tear_after: int | None = None
        self._removed_s = 0.0  # when a card was taken out last

    # The machine.

    async def start(self) -> None:
        """Raises OSError with what the system said: no pcscd, no vpcd, no root."""
        self._started = True
        self._serve()

    async def stop(self) -> None:
        self._started = False
        meeting = self._meeting
        self.remove_card()
        if meeting is not None:
            await asyncio.wait([meeting])
        self.pcscd.stop()

    def section(self) -> dict[str, str | int | bool]:
        return {"reader": READER}

    def environment(self) -> dict[str, str]:
        return {"PCSCLITE_CSOCK_NAME": str(self.pcscd.socket)}

    def fault(self, name: str, on: bool = True) -> None:
        if self.has(name) == on:
            return
        super().fault(name, on)
        if name in ("service_stopped", "unplugged") and self._started:
            self._serve()
        elif name == "slot_dead" and self._card is not None:
            self._touch()

    def _serve(self) -> None:
        """Have pcscd run as it is to, begun anew: it has no way to be told that a reader of its reader.conf was unplugged."""
        self.pcscd.stop()
        if not self.has("service_stopped"):
            self.pcscd.start(has_reader=not self.has("unplugged"))
        if self._card is not None:
            self._touch()

    # Back face.

    def insert_card(self, card: Card) -> None:
        """Put a card into the slot, in place of the one that is there. It stays until remove_card."""
        for situation, other in (("card_without_ppse", NoPpseCard), ("card_refuses", RefusingCard), ("card_mute", MuteCard)):
            if self.has(situation):
                card = other(card.uid)
        self.remove_card()
        self._card = card
        self._speaks_t0 = SpeaksT0(self._ask) if self.has("contact_cards") else None
        if self.has("card_torn"):
            self.tear_off()
        self._touch()

    def remove_card(self) -> None:
        """Take the card out."""
        if self._card is not None:
            self._removed_s = time.monotonic()
        self._card = None
        self._tear_after = None
        self._untouch()

    def tear_off(self, after_apdus: int = 0) -> None:
        """The card is taken away as soon as it has answered this many more APDUs."""
        self._tear_after = after_apdus

    async def wiggle(self) -> None:
        """The card loses its contacts for an instant."""
        self._touch()
        assert self._meeting is not None
        await self._meeting

    @property
    def cards(self) -> tuple[Card, ...]:
        return () if self._card is None else (self._card,)

    # For the contacts.

    def atr(self, after_reset: bool) -> bytes:
        assert self._card is not None
        if after_reset and self.has("contacts_worn"):
            return NOISE
        return T0_ATR if self._speaks_t0 is not None else contactless_atr(self._card)

    def asked(self, contacts: Contacts, command: bytes) -> None:
        """A command for the card in the slot."""
        if self._tear_after == 0:
            self.remove_card()
            return
        self.apdus.append(command)
        answer = self._speaks_t0.transceive(command) if self._speaks_t0 is not None else self._ask(command)
        if self._tear_after is not None:
            self._tear_after -= 1
        if answer is None:
            asyncio.get_running_loop().call_later(self.waiting_s, self._give_up, contacts)
        else:
            contacts.send(answer[:1] if self.has("garbled_answers") else answer)

    def _ask(self, apdu: bytes) -> bytes | None:
        assert self._card is not None
        answer = self._card.transceive(apdu)
        return bytes(range(256)) + answer[-2:] if answer is not None and self.has("long_answers") else answer

    def _give_up(self, contacts: Contacts) -> None:
        """The reader waits no longer for an answer. vpcd has no message for that: its line breaks, and is made anew."""
        if contacts is self._contacts:
            self._touch()

    # The slot.

    def _touch(self) -> None:
        """The card meets its contacts, if there is a slot. A line that there was breaks only then, so that no look finds the slot empty."""
        before, self._contacts = self._contacts, None
        if self._meeting is not None:
            self._meeting.cancel()
        self._meeting = asyncio.get_running_loop().create_task(self._meet(before))

    async def _meet(self, before: Contacts | None) -> None:
        try:
            if before is None:
                await asyncio.sleep(self._removed_s + SWAP_S - time.monotonic())
            if self.pcscd.is_running and not self.has("unplugged") and not self.has("slot_dead"):
                loop = asyncio.get_running_loop()
                with self.pcscd.card_socket() as line:
                    await loop.sock_connect(line, SLOT)
                    contacts = Contacts(self)
                    await loop.create_connection(lambda: contacts, sock=line.dup())
                self._contacts = contacts
        finally:
            if before is not None:
                before.open()

    def _untouch(self) -> None:
        if self._meeting is not None:
            self._meeting.cancel()
            self._meeting = None
        if self._contacts is not None:
            self._contacts.open()
            self._contacts = None
