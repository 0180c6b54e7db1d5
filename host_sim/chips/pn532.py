"""PN532 by NXP: frames over I2C or a serial line, and a field into which cards are put. Source: UM0701-02."""

from __future__ import annotations

from collections.abc import Callable

from host_sim.chips.cards import Card, MuteCard, NoPpseCard, PaymentCard, RefusingCard
from host_sim.chips.faces import Chip, Fault, I2cChip, UartChip

ACK = bytes.fromhex("0000FF00FF00")
NACK_BODY = b"\xff\x00"
ERROR_FRAME = bytes.fromhex("0000FF01FF7F8100")

# Status bytes of InDataExchange.
RF_TIMEOUT = 0x01
CRC_ERROR = 0x02
RF_PROTOCOL_ERROR = 0x0B
WRONG_CONTEXT = 0x27

MOST_DATA = 262  # of a card's answer in one InDataExchange
WAKE_MS = 1
ACTIVATION_TRY_MS = 5  # one try of InListPassiveTarget without a card
FOR_EVER = 0xFF  # MxRtyPassiveActivation as at reset


def information_frame(body: bytes) -> bytes:
    """TFI and data as the chip sends them: a normal frame, or an extended one above 255 bytes."""
    if len(body) > 255:
        size = len(body).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes([-sum(size) & 0xFF])
    else:
        head = bytes([len(body), -len(body) & 0xFF])
    return b"\x00\x00\xff" + head + body + bytes([-sum(body) & 0xFF, 0])


class HostFrames:
    """Finds the host's frames in a byte stream: whatever is no start code is preamble."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def clear(self) -> None:
        self._buffer.clear()

    def feed(self, data: bytes) -> list[bytes | None]:
        """Of each whole frame its TFI and data; b'\\x00\\xff' for an ACK, b'\\xff\\x00' for a NACK; None for a damaged one."""
        self._buffer += data
        frames: list[bytes | None] = []
        while (start := self._buffer.find(b"\x00\xff")) >= 0:
            rest = self._buffer[start + 2 :]
            if len(rest) < 2:
                break
            head = bytes(rest[:2])
            if head in (b"\x00\xff", NACK_BODY):
                frames.append(head)
                self._consume(start + 4)
                continue
            size, offset = rest[0], 2
            damaged = (rest[0] + rest[1]) & 0xFF != 0
            if head == b"\xff\xff":
                if len(rest) < 5:
                    break
                size, offset = rest[2] << 8 | rest[3], 5
                damaged = sum(rest[2:5]) & 0xFF != 0 or size > 265
            if damaged or size == 0:
                frames.append(None)
                self._consume(start + 2)
                continue
            if len(rest) < offset + size + 1:
                break
            body = bytes(rest[offset : offset + size])
            frames.append(body if (sum(body) + rest[offset + size]) & 0xFF == 0 else None)
            self._consume(start + 2 + offset + size + 1)
        if start < 0:
            del self._buffer[:-1]  # the last byte may be the first of a start code
        return frames

    def _consume(self, count: int) -> None:
        del self._buffer[:count]


class Pn532Core(Chip):
    """The chip behind its host interface. A face calls `host_sends` and fetches what `answers` holds.

    The faults of component 'card' are what happens to each card that is put into the field while they are on.
    """

    FAULTS = {
        "no_answer": Fault("the chip is dead: nobody acknowledges, nothing comes back", "no_answer"),
        "antenna_broken": Fault("the antenna is open: no card is ever found, and the antenna test says so", "antenna"),
        "field_weak": Fault("the field is too weak to power a card; the antenna test passes", "no_card"),
        "firmware_answer_wrong": Fault("the chip gives another part's identity", "firmware_answer_wrong"),
        "echo_wrong": Fault("one byte of the communication test comes back changed", "echo_wrong"),
        "crc_errors": Fault("what the card answers arrives with a wrong check sum", "card_unreadable"),
        "garbled_frames": Fault("every frame from the chip has a wrong check sum", "garbled_answer"),
        "card_torn": Fault("the card is taken away while it is read", "card_torn", "card"),
        "two_cards": Fault("two cards are held to the reader, in one purse", "two_cards", "card"),
        "card_without_ppse": Fault("the card is none that pays: it answers 6A82", "not_a_payment_card", "card"),
        "card_refuses": Fault("the card takes no command: it answers 6700", "card_refused", "card"),
        "card_mute": Fault("the card is found, and answers nothing", "card_silent", "card"),
    }
    HABITS = {
        "flaky_frames": "the first copy of each answer has a wrong check sum; repeated on NACK it is good",
        "asleep": "the chip is in power down until the host wakes it",
        "long_answers": "cards answer with more than a normal frame holds: 256 bytes and a status word",
        "chained_answers": "the chip gives a card's answer in two parts, with more information announced",
    }

    def __init__(self, now_ms: Callable[[], int]) -> None:
        super().__init__(now_ms)
        self._cards: list[Card] = []
        self._tear_after: int | None = None
        self.apdus: list[bytes] = []  # what the cards were asked, for tests
        self.power_up()

    def power_up(self) -> None:
        """The registers as at reset, in low-battery mode: SAMConfiguration is taken first. Cards stay where they are."""
        self._frames = HostFrames()
        self._answers: list[tuple[int, bytes]] = []  # (ready at, frame)
        self._last_answer = b""
        self._configured = False
        self._tries = FOR_EVER
        self._target: Card | None = None
        self._waits_for_card = False
        self._rest = b""  # of an answer that is given in parts

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name == "asleep" and on:
            self._frames.clear()
            self._answers.clear()

    # Back face.

    def insert_card(self, card: Card) -> None:
        """Put a card into the field; a second one makes two. It stays until remove_card."""
        for situation, other in (("card_without_ppse", NoPpseCard), ("card_refuses", RefusingCard), ("card_mute", MuteCard)):
            if self.has(situation):
                card = other(card.uid)
        self._cards.append(card)
        if self.has("two_cards"):
            self._cards.append(PaymentCard(bytes(byte ^ 0x01 for byte in card.uid)))
        if self.has("card_torn"):
            self.tear_off()
        if self._waits_for_card and self._powered():
            self._waits_for_card = False
            self._answer(0x4A, self._activate(1))

    def remove_card(self) -> None:
        """Take all cards away."""
        self._cards.clear()
        self._tear_after = None

    def tear_off(self, after_apdus: int = 0) -> None:
        """The card is taken away as soon as it has answered this many more APDUs."""
        self._tear_after = after_apdus

    @property
    def cards(self) -> tuple[Card, ...]:
        return tuple(self._cards)

    # For the faces.

    def host_sends(self, data: bytes) -> None:
        if self.has("no_answer"):
            return
        for body in self._frames.feed(data):
            if body is None:
                continue
            if body == b"\x00\xff":
                self._abort()
            elif body == NACK_BODY:
                if self._last_answer:
                    self._send(self._last_answer, repeated=True)
            elif body[0] == 0xD4 and len(body) > 1:
                self._abort()
                self._send(ACK)
                self._obey(body[1], body[2:])

    def _abort(self) -> None:
        self._answers.clear()
        self._waits_for_card = False

    def _send(self, frame: bytes, after_ms: int = 0, repeated: bool = False) -> None:
        damaged = self.has("garbled_frames") or (self.has("flaky_frames") and frame != ACK and not repeated)
        if damaged:
            frame = frame[:4] + bytes([frame[4] ^ 0x10]) + frame[5:]
        self._answers.append((self.now_ms() + after_ms, frame))

    def _answer(self, command: int, data: bytes, after_ms: int = 1) -> None:
        self._last_answer = information_frame(bytes([0xD5, command + 1]) + data)
        self._send(self._last_answer, after_ms)

    def _refuse(self) -> None:
        self._last_answer = ERROR_FRAME
        self._send(ERROR_FRAME)

    # Commands.

    def _obey(self, command: int, data: bytes) -> None:
        if not self._configured and command != 0x14:
            return  # low-battery mode: acknowledged, and never answered
        handler = {
            0x00: self._diagnose,
            0x02: self._firmware_version,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._data_exchange,
            0x4A: self._list_passive_target,
            0x52: self._release,
        }.get(command)
        if handler is None:
            self._refuse()
        else:
            handler(data)

    def _diagnose(self, data: bytes) -> None:
        if data[:1] == b"\x00":
            echo = bytearray(data)
            if self.has("echo_wrong"):
                echo[-1] ^= 0x01
            self._answer(0x00, bytes(echo))
        elif data[:1] in (b"\x01", b"\x02"):
            self._answer(0x00, b"\x00")
        elif data[:1] == b"\x06":
            self._answer(0x00, b"\x00" if self._target_there() else b"\x01")
        elif data[:1] == b"\x07" and len(data) == 2:
            # The register comes back: the limits given, and bit 7 for a current below the lower one.
            self._answer(0x00, bytes([(data[1] & 0x3F) | 0x80 if self.has("antenna_broken") else data[1] & 0x3F]))
        else:
            self._refuse()

    def _firmware_version(self, data: bytes) -> None:
        self._answer(0x02, b"\x33\x02\x00\x07" if self.has("firmware_answer_wrong") else b"\x32\x01\x06\x07")

    def _sam_configuration(self, data: bytes) -> None:
        if not data or not 1 <= data[0] <= 4:
            self._refuse()
            return
        self._configured = True
        self._answer(0x14, b"")

    def _power_down(self, data: bytes) -> None:
        self._answer(0x16, b"\x00")
        self._faults.add("asleep")

    def _rf_configuration(self, data: bytes) -> None:
        if not data:
            self._refuse()
            return
        if data[0] == 0x05 and len(data) == 4:
            self._tries = data[3]
        self._answer(0x32, b"")

    def _list_passive_target(self, data: bytes) -> None:
        if len(data) < 2 or not 1 <= data[0] <= 2 or data[1] != 0x00:
            self._refuse()
            return
        self._target = None
        found = self._activate(data[0])
        if found[0] or self._tries != FOR_EVER:
            self._answer(0x4A, found, 2 if found[0] else ACTIVATION_TRY_MS * (self._tries + 1))
        else:
            self._waits_for_card = True

    def _powered(self) -> bool:
        return not self.has("antenna_broken") and not self.has("field_weak")

    def _activate(self, most: int) -> bytes:
        found = self._cards[:most] if self._powered() else []
        answer = bytes([len(found)])
        for number, card in enumerate(found, 1):
            answer += bytes([number]) + card.sens_res + bytes([card.sel_res, len(card.uid)]) + card.uid + card.ats
        if found:
            self._target = found[0]
        return answer

    def _target_there(self) -> bool:
        return self._target is not None and any(card is self._target for card in self._cards)

    def _data_exchange(self, data: bytes) -> None:
        if self._rest:  # the host fetches what was announced
            part, self._rest = self._rest, b""
            self._answer(0x40, b"\x00" + part)
            return
        target = self._target
        if target is None or data[:1] != b"\x01":
            self._answer(0x40, bytes([WRONG_CONTEXT]))
            return
        if self._tear_after == 0:
            self.remove_card()
        if not self._target_there() or not self._powered():
            self._answer(0x40, bytes([RF_TIMEOUT]), 20)
            return
        self.apdus.append(data[1:])
        answer = target.transceive(data[1:])
        if self._tear_after is not None:
            self._tear_after -= 1
        if answer is None:
            self._answer(0x40, bytes([RF_TIMEOUT]), 80)
        elif self.has("crc_errors"):
            self._answer(0x40, bytes([CRC_ERROR]))
        else:
            if self.has("long_answers"):
                answer = bytes(range(256)) + answer[-2:]
            if self.has("chained_answers"):
                middle = len(answer) // 2
                self._rest = answer[middle:]
                self._answer(0x40, b"\x40" + answer[:middle])
            else:
                self._answer(0x40, b"\x00" + answer[:MOST_DATA])

    def _release(self, data: bytes) -> None:
        self._target = None
        self._rest = b""
        self._answer(0x52, b"\x00")


class Pn532Chip(Pn532Core, I2cChip):
    """The I2C face: a read begins with a ready byte and takes one frame, whole or cut short."""

    def power_up(self) -> None:
        super().power_up()
        self._awake_at_ms = 0

    def write(self, data: bytes) -> None:
        self._acknowledge()
        self._frames.clear()  # a frame ends with its transaction
        self.host_sends(data)

    def read(self, length: int) -> bytes:
        self._acknowledge()
        if not self._answers or self._answers[0][0] > self.now_ms():
            return bytes(length)
        if length == 1:
            return b"\x01"
        _, frame = self._answers.pop(0)
        return (b"\x01" + frame + bytes(length))[:length]

    def _acknowledge(self) -> None:
        if self.has("no_answer"):
            raise self.absent()
        if self.has("asleep"):  # its address wakes it, but too late to acknowledge
            self._faults.discard("asleep")
            self._awake_at_ms = self.now_ms() + WAKE_MS
            raise self.absent()
        if self.now_ms() < self._awake_at_ms:
            raise self.absent()


class Pn532UartChip(Pn532Core, UartChip):
    """The high-speed UART face: what the chip has to say goes on the line at once."""

    def receive(self, data: bytes) -> None:
        if self.has("asleep"):
            wake = data.find(b"\x55")
            if wake < 0 or self.has("no_answer"):
                return
            self._faults.discard("asleep")
            data = data[wake + 2 :]  # lost in waking
        self.host_sends(data)
        self._put_on_line()

    def insert_card(self, card: Card) -> None:
        super().insert_card(card)
        self._put_on_line()

    def _put_on_line(self) -> None:
        while self._answers:
            self.send(self._answers.pop(0)[1])
