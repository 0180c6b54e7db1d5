"""ATECC608B by Microchip: a secure element on I2C that sleeps until SDA is low for long enough. Source: DS40001977, DS40002112."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_sim.chips.faces import Fault, I2cChip
from host_sim.whole_file import write_whole

WAKE_LOW_US = 60  # tWLO
WAKE_MS = 2  # tWHI, 1.5 ms
WATCHDOG_MS = 1300
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256

# Longest execution times in ms (cryptoauthlib, ATECC608-M0). A sound chip takes half of that here, which is an estimate.
LONGEST_MS = {0x02: 5, 0x16: 20, 0x1B: 23, 0x24: 25, 0x30: 5, 0x40: 115, 0x41: 115, 0x45: 105, 0x77: 250}

OK = b"\x00"
MISCOMPARE = b"\x01"
PARSE_ERROR = b"\x03"
SELF_TEST_ERROR = b"\x07"
EXECUTION_ERROR = b"\x0f"
WOKE = b"\x11"
COMMUNICATION_ERROR = b"\xff"

COUNTER_END = 2097151
SELF_TESTS = 0x3D
ECDSA_TEST = 0x04

# Offsets in the configuration zone.
SLOT_CONFIG, LOCK_VALUE, LOCK_CONFIG, SLOT_LOCKED, CHIP_OPTIONS, KEY_CONFIG = 20, 86, 87, 88, 90, 96
UNLOCKED = 0x55


def configuration(slot_configs: Mapping[int, int], key_configs: Mapping[int, int], address: int = 0x60) -> bytes:
    """The 128 bytes of a configuration zone, locked. Slots that are not given are for data, and of no use here."""
    zone = bytearray(128)
    zone[0:4] = bytes.fromhex("01238D5C")  # a serial number begins with 0123
    zone[4:8] = bytes.fromhex("00006003")  # revision: ATECC608B
    zone[8:13] = bytes.fromhex("A10F42C7EE")  # and ends with EE on a part not made for one customer
    zone[13], zone[14], zone[16] = 0x01, 0x01, address << 1  # AES, I2C
    for slot in range(16):
        zone[SLOT_CONFIG + 2 * slot : SLOT_CONFIG + 2 * slot + 2] = slot_configs.get(slot, 0x0F0F).to_bytes(2, "little")
        zone[KEY_CONFIG + 2 * slot : KEY_CONFIG + 2 * slot + 2] = key_configs.get(slot, 0x003C).to_bytes(2, "little")
    zone[SLOT_LOCKED : SLOT_LOCKED + 2] = b"\xff\xff"  # no slot is locked by itself
    return bytes(zone)


# Slots 0..3: secret P-256 keys that sign what comes from outside, and that GenKey may renew; lockable, public key to be had.
CONFIGURATION = configuration(dict.fromkeys(range(4), 0x2081), dict.fromkeys(range(4), 0x0033))


def check(data: bytes) -> bytes:
    """CRC-16 with polynomial 0x8005 as the chip has it: calculated reflected, turned round at the end."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return int(f"{crc:016b}"[::-1], 2).to_bytes(2, "little")


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


class Atecc608Chip(I2cChip):
    """zone: the configuration. Keys and counters outlast the power; what was said to it does not."""

    FAULTS = {
        "no_wake": Fault("the chip is dead: it does not wake, and nobody acknowledges its address", "no_answer"),
        "crc_errors": Fault("every answer has a wrong check sum", "garbled_answer"),
        "self_test_failure": Fault("the self-test of the ECDSA engine fails, and the chip refuses to work", "self_test_failed"),
        "wrong_key": Fault("the chip holds other keys than those made here: another chip was put in", "key_mismatch"),
        "key_lost": Fault("the slots hold no valid keys any more", "key_missing"),
        "wrong_signatures": Fault("one bit of each signature is wrong", "signature_wrong"),
        "locked": Fault("the chip tells about itself and refuses the use of its keys", "locked"),
        "unlocked": Fault("a part as it comes from the reel: configuration not locked, random numbers a fixed pattern", "not_locked"),
        "random_stuck": Fault("the random numbers are always the same", "random_stuck"),
    }
    HABITS = {
        "slow": "each command takes the longest time that the data sheet allows",
        "second_wake": "the first wake after a sleep is not heard",
        "flaky_answers": "the first copy of each answer has a wrong check sum; read again it is good",
        "flaky_commands": "every other command arrives damaged, and is answered so",
    }

    def __init__(self, now_ms: Callable[[], int], zone: bytes = CONFIGURATION) -> None:
        super().__init__(now_ms)
        self._zone = bytearray(zone)
        self._keys: dict[int, ec.EllipticCurvePrivateKey] = {}
        self._other_keys: dict[int, ec.EllipticCurvePrivateKey] = {}  # what wrong_key puts in their place
        self._lost: set[int] = set()  # the slots that key_lost made invalid
        self.counters = [0, 0]
        self._file: Path | None = None
        self.power_up()

    def power_up(self) -> None:
        self._fall_asleep()

    def keep(self, file: Path) -> None:
        self._file = file
        if file.exists():
            kept = json.loads(file.read_bytes())
            self._zone = bytearray.fromhex(kept["zone"])
            self._keys = {int(slot): ec.derive_private_key(int(number, 16), ec.SECP256R1()) for slot, number in kept["keys"].items()}
            self.counters = kept["counters"]
        self._changed()

    def _changed(self) -> None:
        """Something that outlasts the power."""
        if self._file is not None:
            keys = {slot: f"{key.private_numbers().private_value:x}" for slot, key in self._keys.items()}
            write_whole(self._file, json.dumps({"zone": self._zone.hex(), "keys": keys, "counters": self.counters}).encode())

    def _fall_asleep(self) -> None:
        """All that is volatile is lost."""
        self._awake = False
        self._woken_at_ms = 0
        self._ready_at_ms = 0
        self._knocked = False
        self._input = bytearray()
        self._output = b""
        self._position = 0
        self._first_copy = True
        self._failed_tests = 0
        self._digest_buffer = b""
        self._temp_key = b""
        self._damage_next = True

    def fault(self, name: str, on: bool = True) -> None:
        super().fault(name, on)
        if name == "wrong_key":
            self._other_keys = {slot: ec.generate_private_key(ec.SECP256R1()) for slot in self._keys} if on else {}
        elif name == "key_lost":
            self._lost = set(self._keys) if on else set()

    # Back face.

    @property
    def serial(self) -> bytes:
        """Nine bytes, as they are printed nowhere: they can only be read."""
        return bytes(self._zone[0:4] + self._zone[8:13])

    @property
    def keys(self) -> dict[int, bytes]:
        """The public keys of the keys it holds, by its own slot numbers."""
        return {slot: _public(self._key(slot)) for slot in sorted(self._keys) if self._holds_key(slot)}

    def forget_keys(self) -> None:
        """Every key slot as it left the factory."""
        self._keys.clear()
        self._other_keys.clear()
        self._changed()

    def lock_slot(self, slot: int) -> None:
        """For ever: its key can be used, and not be replaced."""
        bits = int.from_bytes(self._zone[SLOT_LOCKED : SLOT_LOCKED + 2], "little") & ~(1 << slot)
        self._zone[SLOT_LOCKED : SLOT_LOCKED + 2] = bits.to_bytes(2, "little")
        self._changed()

    @property
    def is_awake(self) -> bool:
        self._watchdog()
        return self._awake

    # Bus face.

    def held_low(self, duration_us: int) -> None:
        self._watchdog()
        if self._awake or duration_us < WAKE_LOW_US or self.has("no_wake"):
            return
        if self.has("second_wake") and not self._knocked:
            self._knocked = True
            return
        self._awake = True
        self._woken_at_ms = self.now_ms()
        self._input.clear()
        self._failed_tests = ECDSA_TEST if self._tests_at_wake and self.has("self_test_failure") else 0
        self._answer(SELF_TEST_ERROR if self._failed_tests else WOKE, WAKE_MS)

    def write(self, data: bytes) -> None:
        self._acknowledge()
        if not data:
            return
        if data[0] == 0x00:
            self._position = 0
            self._first_copy = False
            self._input.clear()
        elif data[0] == 0x01:
            self._fall_asleep()
        elif data[0] == 0x02:
            self._awake = False
        elif data[0] == 0x03:
            self._input += data[1:]
            if self._input and len(self._input) >= self._input[0]:
                command = bytes(self._input[: max(1, self._input[0])])
                self._input.clear()
                self._obey(command)

    def read(self, length: int) -> bytes:
        self._acknowledge()
        if self._input:
            raise self.absent()  # half a command, and nothing to tell
        answer = bytearray(self._output)
        if self.has("crc_errors") or (self.has("flaky_answers") and self._first_copy):
            answer[-1] ^= 0x10
        part = bytes(answer[self._position : self._position + length])
        self._position += length
        return part + b"\xff" * (length - len(part))

    def _acknowledge(self) -> None:
        self._watchdog()
        if not self._awake or self.now_ms() < self._ready_at_ms:
            raise self.absent()

    def _watchdog(self) -> None:
        if self._awake and self.now_ms() >= self._woken_at_ms + WATCHDOG_MS:
            self._fall_asleep()

    def _answer(self, data: bytes, after_ms: int) -> None:
        body = bytes([len(data) + 3]) + data
        self._output = body + check(body)
        self._position = 0
        self._first_copy = True
        self._ready_at_ms = self.now_ms() + after_ms

    # Commands.

    def _obey(self, command: bytes) -> None:
        if self.has("flaky_commands"):
            self._damage_next = not self._damage_next
            if not self._damage_next:
                command = command[:-1] + bytes([command[-1] ^ 0x01])
        if not 7 <= len(command) <= 155 or check(command[:-2]) != command[-2:]:
            self._answer(COMMUNICATION_ERROR, 1)
            return
        opcode, param1, param2, data = command[1], command[2], int.from_bytes(command[3:5], "little"), command[5:-2]
        handler = {
            0x02: self._read,
            0x16: self._nonce,
            0x1B: self._random,
            0x24: self._counter,
            0x30: self._info,
            0x40: self._gen_key,
            0x41: self._sign,
            0x45: self._verify,
            0x77: self._self_test,
        }.get(opcode)
        if handler is None:
            self._answer(PARSE_ERROR, 1)
        elif self._failed_tests and handler not in (self._read, self._self_test):
            self._answer(SELF_TEST_ERROR, 1)
        else:
            longest_ms = LONGEST_MS[opcode]
            self._answer(handler(param1, param2, data), longest_ms if self.has("slow") else (longest_ms + 1) // 2)

    def _read(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 != 0x80 or param2 & ~0x18 or data:
            return PARSE_ERROR  # of other zones and lengths nothing is modelled
        zone = bytearray(self._zone)
        if self.has("unlocked"):
            zone[LOCK_VALUE] = zone[LOCK_CONFIG] = UNLOCKED
        return bytes(zone[param2 * 4 : param2 * 4 + 32])

    def _nonce(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 not in (0x03, 0x43) or param2 or len(data) != 32:
            return PARSE_ERROR
        if param1 == 0x43:
            self._digest_buffer = data
        else:
            self._temp_key = data
        return OK

    def _random(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 > 1 or param2 or data:
            return PARSE_ERROR
        return self._drawn() if self._is_locked else b"\xff\xff\x00\x00" * 8

    def _counter(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 > 1 or param2 > 1 or data:
            return PARSE_ERROR
        if not self._is_locked or (param1 and self.counters[param2] >= COUNTER_END):
            return EXECUTION_ERROR
        self.counters[param2] += param1
        if param1:
            self._changed()
        return self.counters[param2].to_bytes(4, "little")

    def _info(self, param1: int, param2: int, data: bytes) -> bytes:
        if data or param1 > 1 or param2 > (15 if param1 else 0):
            return PARSE_ERROR
        if param1 == 0:
            return bytes(self._zone[4:8])
        return b"\x01\x00\x00\x00" if self._holds_key(param2) else b"\x00\x00\x00\x00"

    def _gen_key(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 not in (0x00, 0x04) or param2 > 15 or data:
            return PARSE_ERROR
        if not self._may_use(param2):
            return EXECUTION_ERROR
        if param1 == 0x04:
            renewable = int.from_bytes(self._zone[SLOT_CONFIG + 2 * param2 :][:2], "little") & 0x2000
            unlocked = int.from_bytes(self._zone[SLOT_LOCKED : SLOT_LOCKED + 2], "little") >> param2 & 1
            if not (renewable and unlocked):
                return EXECUTION_ERROR
            number = int.from_bytes(self._drawn(), "big") % (ORDER - 1) + 1
            self._keys[param2] = ec.derive_private_key(number, ec.SECP256R1())
            self._other_keys.pop(param2, None)
            self._lost.discard(param2)
            self._changed()
        return _public(self._key(param2)) if self._holds_key(param2) else EXECUTION_ERROR

    def _sign(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 not in (0x80, 0xA0) or param2 > 15 or data:
            return PARSE_ERROR
        digest = self._taken(param1)
        signs = self._zone[SLOT_CONFIG + 2 * param2] & 0x01
        if not (digest and signs and self._may_use(param2) and self._holds_key(param2)):
            return EXECUTION_ERROR
        r, s = decode_dss_signature(self._key(param2).sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return signature[:-1] + bytes([signature[-1] ^ 0x01]) if self.has("wrong_signatures") else signature

    def _verify(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 not in (0x02, 0x22) or param2 != 0x0004 or len(data) != 128:
            return PARSE_ERROR
        digest = self._taken(param1)
        if not (digest and self._is_locked):
            return EXECUTION_ERROR
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + data[64:])
        except ValueError:
            return b"\x05"  # ECC fault
        r, s = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big")
        try:
            key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
        except InvalidSignature:
            return MISCOMPARE
        return OK

    def _self_test(self, param1: int, param2: int, data: bytes) -> bytes:
        if param1 & ~SELF_TESTS or param2 or data:
            return PARSE_ERROR
        self._failed_tests &= ~param1
        if param1 & ECDSA_TEST and self.has("self_test_failure"):
            self._failed_tests |= ECDSA_TEST
        return bytes([self._failed_tests & param1 if param1 else self._failed_tests])

    # State.

    @property
    def _is_locked(self) -> bool:
        """Configuration and data zone, as they have to be for work."""
        return self._zone[LOCK_CONFIG] == 0 and self._zone[LOCK_VALUE] == 0 and not self.has("unlocked")

    @property
    def _tests_at_wake(self) -> bool:
        return bool(self._zone[CHIP_OPTIONS] & 0x01)

    def _may_use(self, slot: int) -> bool:
        is_private_key = self._zone[KEY_CONFIG + 2 * slot] & 0x1D == 0x11  # private, P-256
        return bool(is_private_key) and self._is_locked and not self.has("locked")

    def _holds_key(self, slot: int) -> bool:
        return slot in self._keys and slot not in self._lost

    def _key(self, slot: int) -> ec.EllipticCurvePrivateKey:
        return self._other_keys.get(slot, self._keys[slot])

    def _taken(self, mode: int) -> bytes:
        """The digest from where the mode says, which it is good for once."""
        if mode & 0x20:
            digest, self._digest_buffer = self._digest_buffer, b""
        else:
            digest, self._temp_key = self._temp_key, b""
        return digest

    def _drawn(self) -> bytes:
        return b"\x5a" * 32 if self.has("random_stuck") else os.urandom(32)
