"""ATECC608A and ATECC608B, Microchip's secure element, over I2C. Contract: hal/secure_element.py, level 2.

The chip and its packets are two classes. Sources: the data sheets of the ATECC608A (DS40001977) and of the parts that Microchip ships
configured (ATECC608A-TNGTLS, DS40002112: chapter 4 packets and status, 5 commands, 7 I2C); execution times: cryptoauthlib, calib_execution.

The bus may not be faster than 100 kHz: the chip is woken by SDA being low for 60 us, and what makes SDA low is an address of zeros.
The configuration is burnt in and locked before the chip comes here; this driver reads it and changes nothing of it.
"""

from hal.compat import p256
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hal.clock import Clock
    from hal.compat import P256

    Command = tuple[int, int, int, bytes]  # opcode, param1, param2, data

_KIND = "secure_element"

# Word addresses (7.2.1): the first byte of each write.
_RESET = 0x00  # read the answer from its beginning
_SLEEP = 0x01
_IDLE = 0x02
_COMMAND = 0x03

_READ = 0x02
_NONCE = 0x16
_RANDOM = 0x1B
_COUNTER = 0x24
_INFO = 0x30
_GEN_KEY = 0x40
_SIGN = 0x41
_VERIFY = 0x45
_SELF_TEST = 0x77

# By opcode: length of the answer's data, and the longest execution time in ms with the chip's clock undivided.
_ANSWERS = {
    _READ: (32, 5),
    _NONCE: (1, 20),
    _RANDOM: (32, 23),
    _COUNTER: (4, 25),
    _INFO: (4, 5),
    _GEN_KEY: (64, 115),
    _SIGN: (64, 115),
    _VERIFY: (1, 105),
    _SELF_TEST: (1, 250),
}

_OVERHEAD = 3  # count and two bytes of CRC
_SLACK_MS = 20  # between the chip's oscillator and the terminal's
_POLL_MS = 3
_WAKE_MS = 2  # tWHI is 1.5 ms
_WATCHDOG_MS = 1700  # at the latest then the chip is asleep again, whatever it did; 1.3 s as a rule
_TRIES = 3

# Status, where an answer has one byte of data (4.3).
_OK = 0x00
_MISCOMPARE = 0x01
_PARSE_ERROR = 0x03
_SELF_TEST_ERROR = 0x07
_HEALTH_TEST_ERROR = 0x08  # of the random numbers; may pass
_EXECUTION_ERROR = 0x0F
_WOKE = 0x11
_ARRIVED_DAMAGED = b"\xff"
# Status -> cause. What another try does not change, and what may pass: the chip was asleep, or misheard, or (all others) miscalculated.
_FINAL = {_MISCOMPARE: "signature_wrong", _PARSE_ERROR: "check_failed", _SELF_TEST_ERROR: "self_test_failed", _EXECUTION_ERROR: "locked"}
_PASSING = {_HEALTH_TEST_ERROR: "random_stuck", _WOKE: "no_answer", 0xFF: "garbled_answer"}

# Modes of the commands.
_CONFIGURATION_BLOCK = 0x80  # Read: 32 bytes of the configuration zone; param2 is the block, times 8
_REVISION = 0x00
_KEY_VALID = 0x01
_CREATE = 0x04
_PUBLIC = 0x00
_TO_DIGEST_BUFFER = 0x43  # Nonce: 32 bytes as they are, into the message digest buffer
_SIGN_DIGEST = 0xA0  # Sign: an external digest, from that buffer
_VERIFY_DIGEST = 0x22  # Verify: with a key from outside, a digest from that buffer
_CURVE_P256 = 0x0004
_ALL_TESTS = 0x3D
_TEST_NAMES = ((0x01, "RNG"), (0x04, "ECDSA"), (0x08, "ECDH"), (0x10, "AES"), (0x20, "SHA"))
_COUNTER_NUMBER = 1  # counter 0 is the one that a key's uses can be counted by

# The configuration zone, 128 bytes.
_CHIP_MODE = 19
_CLOCK_DIVIDER = 0xF8  # of the chip mode
_SLOT_CONFIG = 20  # 16 times 2 bytes, little-endian
_LOCKS_BLOCK = 2
_LOCK_VALUE = 86 - 64  # of the data zone; in that block
_LOCK_CONFIG = 87 - 64
_KEY_CONFIG = 96
_LOCKED = 0x00
_SLOTS = 16
# A slot for the keys of the contract: its public key can be asked for, it signs what comes from outside, and GenKey may renew it;
# it needs no authorization, and its uses are not counted.
_KEY_BITS, _KEY_WANTED = 0x9F, 0x13  # ReqAuth, KeyType, PubInfo, Private: 0, P-256, 1, 1
_SLOT_BITS, _SLOT_WANTED = 0x2021, 0x2001  # WriteConfig for GenKey, LimitedUse, external signatures: 1, 0, 1

_TEST_DIGEST = bytes(range(32))  # of no message that anybody knows


def crc16(data: bytes) -> bytes:
    """The check of a packet: polynomial 0x8005, each byte's lowest bit first, from 0; two bytes, the lower one first."""
    crc = 0
    for byte in data:
        for bit in range(8):
            differs = (byte >> bit ^ crc >> 15) & 1
            crc = crc << 1 & 0xFFFF
            if differs:
                crc ^= 0x8005
    return crc.to_bytes(2, "little")


def packet(opcode: int, param1: int, param2: int, data: bytes = b"") -> bytes:
    """A command to the chip, as it follows the word address: count .. CRC."""
    body = bytes((len(data) + 7, opcode, param1, param2 & 0xFF, param2 >> 8)) + data
    return body + crc16(body)


class Refused(DeviceError):
    """The chip's answer to a command is a status that another try would not change."""

    def __init__(self, status: int, asked: str) -> None:
        """asked: what the chip answered so."""
        super().__init__(E_FAILURE, _KIND, "status 0x%02x to %s" % (status, asked), cause=_FINAL[status])
        self.status = status


class Packets:
    """i2c: MicroPython's calls, at most 100 kHz; address: 7 bits, 0x60 (96) where the configuration gives no other."""

    def __init__(self, i2c: "Any", address: int, clock: "Clock") -> None:
        self._i2c = i2c
        self._address = address
        self._clock = clock
        self._settled = False  # idle or asleep, for all that is known
        self.divided = False  # the chip's clock: its commands take longer
        self.retries = 0  # answers read again, commands sent again
        self.wake_ms = 0  # how long the last wake took

    async def wake(self) -> None:
        """Wake the chip from whatever it does; its watchdog starts anew.

        What a crash left in the middle of a command hears nothing until it has ended, or the watchdog ends it. Traffic with others on the
        bus may have woken the chip, too: it is sent to idle first. Raises E_NOHARDWARE (no_answer), E_FAILURE (garbled_answer,
        self_test_failed).
        """
        start_ms = self._clock.monotonic_ms()
        patience_ms = 0 if self._settled else _WATCHDOG_MS
        trouble: DeviceError | None = None
        attempt = 0
        while True:
            attempt += 1
            self._write(bytes((_IDLE,)))
            self._pulse()
            await self._clock.sleep_ms(_WAKE_MS)
            try:
                status = (await self._answer(1, _POLL_MS, 0))[0]
            except DeviceError as error:
                if trouble is None or error.cause != "no_answer":  # who was heard at all is there
                    trouble = error
            else:
                if status == _WOKE:
                    break
                if status == _SELF_TEST_ERROR:
                    raise Refused(status, "the wake")
                trouble = DeviceError(E_FAILURE, _KIND, "status 0x%02x instead of a wake" % status, cause="garbled_answer")
            if attempt >= _TRIES and self._clock.monotonic_ms() - start_ms >= patience_ms:
                raise trouble
            await self._clock.sleep_ms(_POLL_MS)
        self.wake_ms = self._clock.monotonic_ms() - start_ms

    def idle(self) -> None:
        """To idle, where the watchdog stands still and the seed of the random numbers is kept (its memory wears by each new one)."""
        self._settled = self._write(bytes((_IDLE,)))

    def sleep(self) -> None:
        """To sleep: least power, and nothing volatile is left in the chip."""
        self._settled = self._write(bytes((_SLEEP,)))

    async def execute(self, opcode: int, param1: int, param2: int, data: bytes) -> bytes:
        """Give the chip, which is awake, a command; the data of its answer, or b'' where it has none.

        Raises Refused; for what may pass E_TIMEOUT and E_NOHARDWARE (no_answer), E_FAILURE (garbled_answer, random_stuck, check_failed).
        """
        length, limit_ms = _ANSWERS[opcode]
        request = bytes((_COMMAND,)) + packet(opcode, param1, param2, data)
        answer = b""
        for _ in range(_TRIES):
            if not self._write(request):
                raise DeviceError(E_TIMEOUT, _KIND, "command 0x%02x is not acknowledged" % opcode, cause="no_answer")
            answer = await self._answer(length, max(_POLL_MS, limit_ms // 10), (_WATCHDOG_MS if self.divided else limit_ms) + _SLACK_MS)
            if answer != _ARRIVED_DAMAGED:
                break
            self.retries += 1
        if len(answer) > 1:
            return answer
        status = answer[0]
        if opcode == _SELF_TEST and not status & ~_ALL_TESTS:
            return answer
        if status in _FINAL:
            raise Refused(status, "command 0x%02x" % opcode)
        if status != _OK:
            cause = _PASSING.get(status, "check_failed")
            raise DeviceError(E_FAILURE, _KIND, "status 0x%02x to command 0x%02x" % (status, opcode), cause=cause)
        if length > 1:
            raise DeviceError(E_FAILURE, _KIND, "no data in the answer to command 0x%02x" % opcode, cause="garbled_answer")
        return b""

    async def _answer(self, length: int, pause_ms: int, limit_ms: int) -> bytes:
        """The data of an answer: `length` bytes, or one byte of status. Asked for every `pause_ms`. Raises as `execute`."""
        until_ms = self._clock.monotonic_ms() + limit_ms
        answer = b""
        for _ in range(_TRIES):
            answer = await self._poll(length + _OVERHEAD, pause_ms, until_ms)
            count = answer[0]
            if count in (length + _OVERHEAD, 1 + _OVERHEAD) and crc16(answer[: count - 2]) == answer[count - 2 : count]:
                return answer[1 : count - 2]
            self.retries += 1
            self._write(bytes((_RESET,)))
        if answer == b"\xff" * len(answer):
            raise DeviceError(E_NOHARDWARE, _KIND, "nobody drives the bus", cause="no_answer")
        raise DeviceError(E_FAILURE, _KIND, "wrong CRC in answers", cause="garbled_answer")

    async def _poll(self, length: int, pause_ms: int, until_ms: int) -> bytes:
        """Read once the chip acknowledges: busy, it does not."""
        while True:
            try:
                answer: bytes = self._i2c.readfrom(self._address, length)
                return answer
            except OSError as error:
                if self._clock.monotonic_ms() >= until_ms:
                    detail = "no acknowledge at 0x%02x (errno %s)" % (self._address, error.errno)
                    raise DeviceError(E_NOHARDWARE, _KIND, detail, cause="no_answer") from None
            await self._clock.sleep_ms(pause_ms)

    def _write(self, data: bytes) -> bool:
        """Whether it was acknowledged: asleep, idle or busy, the chip does not."""
        try:
            self._i2c.writeto(self._address, data)
            return True
        except OSError:
            return False

    def _pulse(self) -> bool:
        """Address 0 with its write bit keeps SDA low for eight clocks, 80 us at 100 kHz; it is nobody's, so nobody acknowledges."""
        try:
            self._i2c.writeto(0, b"\x00")
            return True
        except OSError:
            return False


class Atecc608(Device):
    """Slot n of the contract is the n-th of the chip's slots whose configuration lets a P-256 key be made, asked for and signed with: of an
    ATECC608-TNGTLS, slots 2, 3 and 4. Each operation wakes the chip and leaves it idle; operations of several tasks take turns.
    """

    kind = _KIND
    part = "atecc608"
    level = 2
    in_hardware = True

    def __init__(self, i2c: "Any", address: int, clock: "Clock", curve: "P256 | None" = None) -> None:
        """curve: computes with keys that are used in memory, and checks points; the runtime's own choice if not given."""
        super().__init__()
        self._packets = Packets(i2c, address, clock)
        self._clock = clock
        self._curve = curve if curve is not None else p256()
        self._slots: list[int] = []  # the chip's, by number of the contract
        self._erased: set[int] = set()
        self._in_use = False

    # The contract.

    async def generate_key(self, slot: int) -> bytes:
        """A new key; the public key, 64 bytes x || y. Raises E_FAILURE/locked: the slot is locked for ever, its old key is still there.

        After any other error the slot may hold the old key, or one that nobody is told of.
        """
        chip_slot = self._require_slot(slot)
        public = await self._operate((_GEN_KEY, _CREATE, chip_slot, b""))
        self._erased.discard(slot)
        return public

    async def public_key(self, slot: int) -> bytes:
        """Raises E_NOEXIST: the slot is empty."""
        chip_slot = await self._require_key(slot)
        return await self._operate((_GEN_KEY, _PUBLIC, chip_slot, b""))

    async def sign(self, slot: int, digest: bytes) -> bytes:
        """64 bytes r || s. Raises E_NOEXIST (empty slot), E_ILLEGAL (the digest is not 32 bytes), E_FAILURE/locked."""
        if len(digest) != 32:
            raise DeviceError(E_ILLEGAL, self.kind, "a digest is 32 bytes")
        return await self._sign(await self._require_key(slot), digest)

    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        """By the chip; what it is not made for is refused before: points off the curve, r and s outside of 1..n-1."""
        self.require_enabled()
        if len(digest) != 32 or len(signature) != 64 or not self._curve.is_public_key(public_key):
            return False
        # The range of r and s is the range of private keys.
        if not self._curve.is_private_key(signature[:32]) or not self._curve.is_private_key(signature[32:]):
            return False
        return await self._verify(public_key, digest, signature)

    async def erase(self, slot: int) -> None:
        """Put in a key that nobody is told of, for the chip cannot empty a slot.

        The slot then counts as empty until the program starts again; from then on it shows that other key.
        """
        if await self._holds_key(self._require_slot(slot)):
            await self.generate_key(slot)
        self._erased.add(slot)

    async def random(self, length: int) -> bytes:
        self.require_enabled()
        drawn = b""
        while len(drawn) < length:
            drawn += await self._draw()
        return drawn[:length]

    async def transport_key(self) -> "tuple[bytes, bytes]":
        self.require_enabled()
        while True:  # a draw misses 1..n-1 once in 2^32 times
            private = await self._draw()
            if self._curve.is_private_key(private):
                return private, self._curve.public_key(private)

    async def agree(self, public_key: bytes) -> "tuple[bytes, bytes]":
        """By the chip's random numbers, in software: the key is used once. Raises DeviceError E_ILLEGAL: not a point on the curve."""
        self.require_enabled()
        if not self._curve.is_public_key(public_key):
            raise DeviceError(E_ILLEGAL, self.kind, "not a point on the curve")
        private, public = await self.transport_key()
        return public, self._curve.agree(private, public_key)

    async def count(self, increment: bool) -> int:
        """The chip's counter 1, 0..2097151. Where the line is disturbed a number may be left out, and none is given twice.

        Raises E_FAILURE at its end.
        """
        self.require_enabled()
        return int.from_bytes(await self._operate((_COUNTER, 1 if increment else 0, _COUNTER_NUMBER, b"")), "little")

    # Life cycle.

    async def _bring_up(self) -> None:
        """From any state: asleep, idle, in the middle of a command, or with an answer nobody fetched."""
        self._packets.retries = 0
        await self._require_part()
        configuration = await self._read(0) + await self._read(1) + bytes(32) + await self._read(3)
        self._packets.divided = bool(configuration[_CHIP_MODE] & _CLOCK_DIVIDER)
        self._slots = [slot for slot in range(_SLOTS) if _is_for_keys(configuration, slot)]
        if not self._slots:
            raise DeviceError(E_FAILURE, self.kind, "no slot is configured for keys of its own", cause="locked")

    def _shut_down(self) -> None:
        self._packets.sleep()

    async def _check_health(self, level: int) -> Health:
        """The internal check, at every level: part and locks, its self-test, its random numbers, and a signature with each key."""
        await self._require_part()
        wake_ms = self._packets.wake_ms
        start_ms = self._clock.monotonic_ms()
        failed = (await self._operate((_SELF_TEST, _ALL_TESTS, 0, b"")))[0]
        measurements = {"wake_ms": wake_ms, "self_test_ms": self._clock.monotonic_ms() - start_ms}
        if failed:
            names = ", ".join([name for bit, name in _TEST_NAMES if failed & bit])
            return Health(HEALTH_FAIL, self.kind, "self_test_failed", E_FAILURE, 0, "self-test failed: " + names, measurements)
        if await self._draw() == await self._draw():
            return Health(HEALTH_FAIL, self.kind, "random_stuck", E_FAILURE, 0, "the random numbers repeat", measurements)
        keys = 0
        for slot in self._slots:
            if await self._holds_key(slot):
                keys += 1
                public = await self._operate((_GEN_KEY, _PUBLIC, slot, b""))
                if not await self._verify(public, _TEST_DIGEST, await self._sign(slot, _TEST_DIGEST)):
                    detail = "chip slot %d signs wrong" % slot
                    return Health(HEALTH_FAIL, self.kind, "signature_wrong", E_FAILURE, 0, detail, measurements)
        measurements["keys"] = keys
        measurements["retries"] = self._packets.retries
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    # Operations.

    async def _operate(self, *commands: "Command") -> bytes:
        """Wake the chip, give it these commands, leave it idle; the data of the last answer. What may pass is tried again from the wake."""
        while self._in_use:
            await self._clock.sleep_ms(_POLL_MS)
        self._in_use = True
        try:
            attempt = 0
            while True:
                attempt += 1
                await self._packets.wake()
                try:
                    answer = b""
                    for opcode, param1, param2, data in commands:
                        answer = await self._packets.execute(opcode, param1, param2, data)
                    return answer
                except Refused:
                    raise
                except DeviceError:
                    if attempt == _TRIES:
                        raise
                    self._packets.retries += 1
        finally:
            self._packets.idle()
            self._in_use = False

    async def _sign(self, chip_slot: int, digest: bytes) -> bytes:
        return await self._operate((_NONCE, _TO_DIGEST_BUFFER, 0, bytes(digest)), (_SIGN, _SIGN_DIGEST, chip_slot, b""))

    async def _verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        try:
            given = bytes(signature) + bytes(public_key)
            await self._operate((_NONCE, _TO_DIGEST_BUFFER, 0, bytes(digest)), (_VERIFY, _VERIFY_DIGEST, _CURVE_P256, given))
        except Refused as refused:
            if refused.status != _MISCOMPARE:
                raise
            return False
        return True

    async def _draw(self) -> bytes:
        """32 random bytes."""
        return await self._operate((_RANDOM, 0, 0, b""))

    async def _holds_key(self, chip_slot: int) -> bool:
        answer = await self._operate((_INFO, _KEY_VALID, chip_slot, b""))
        return answer != b"\x00\x00\x00\x00"

    async def _read(self, block: int) -> bytes:
        """32 bytes of the configuration zone; blocks 0..3."""
        return await self._operate((_READ, _CONFIGURATION_BLOCK, block << 3, b""))

    async def _require_part(self) -> None:
        """Raises E_FAILURE: another part (check_failed), or one whose configuration can still be changed (not_locked)."""
        revision = await self._operate((_INFO, _REVISION, 0, b""))
        if revision[2] != 0x60:  # 0x6002 is an ATECC608A, 0x6003 a B
            raise DeviceError(E_FAILURE, self.kind, "revision " + revision.hex() + ", not 000060..", cause="check_failed")
        locks = await self._read(_LOCKS_BLOCK)
        if locks[_LOCK_CONFIG] != _LOCKED or locks[_LOCK_VALUE] != _LOCKED:
            raise DeviceError(E_FAILURE, self.kind, "configuration or data zone is not locked", cause="not_locked")

    def _require_slot(self, slot: int) -> int:
        """The chip's number of a slot. Raises E_ILLEGAL."""
        self.require_enabled()
        if not 0 <= slot < len(self._slots):
            raise DeviceError(E_ILLEGAL, self.kind, "slot %d is not 0..%d" % (slot, len(self._slots) - 1))
        return self._slots[slot]

    async def _require_key(self, slot: int) -> int:
        """The chip's number of a slot that holds a key. Raises E_ILLEGAL, E_NOEXIST."""
        chip_slot = self._require_slot(slot)
        if slot in self._erased or not await self._holds_key(chip_slot):
            raise DeviceError(E_NOEXIST, self.kind, "slot %d is empty" % slot)
        return chip_slot


def _is_for_keys(configuration: bytes, slot: int) -> bool:
    slot_config = int.from_bytes(configuration[_SLOT_CONFIG + 2 * slot : _SLOT_CONFIG + 2 * slot + 2], "little")
    key_config = int.from_bytes(configuration[_KEY_CONFIG + 2 * slot : _KEY_CONFIG + 2 * slot + 2], "little")
    return slot_config & _SLOT_BITS == _SLOT_WANTED and key_config & _KEY_BITS == _KEY_WANTED
