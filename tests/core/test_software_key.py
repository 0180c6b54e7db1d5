"""The secure element in software: keys that survive a power cut at every byte, as the old one or the new one."""

import asyncio
from binascii import unhexlify
from hashlib import sha256

from hal.drivers.p256 import P256
from hal.drivers.software_key import SoftwareKey
from hal.errors import E_DISABLED, E_FAILURE, E_ILLEGAL, E_NOEXIST, DeviceError
from hal.secure_element import CONTRACT
from tests.core.support import raises

DIGEST = sha256(b"a message").digest()
LENGTH = 102  # of a key's file

# RFC 6979, A.2.5: with this key the health check signs.
TEST_KEY = unhexlify("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
TEST_PUBLIC = unhexlify(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)


class PowerCut(Exception):
    """Not an error that a driver may handle: everything stops here."""


class Flash:
    """The five calls of hal.storage in memory. `power`: bytes and removals left until the power is cut; None for ever."""

    def __init__(self):
        self.files = {}
        self.power = None
        self.full_after = None  # bytes of the next append that fit, then E_FAILURE
        self.flip = None  # index of the next append's byte that is written wrong

    def names(self):
        return sorted(self.files)

    def size(self, name):
        return len(self._file(name))

    def read(self, name, offset, length):
        return bytes(self._file(name)[offset : offset + length])

    def append(self, name, data):
        file = self.files.setdefault(name, bytearray())
        for index, byte in enumerate(bytes(data)):
            self._spend()
            if self.full_after == index:
                raise DeviceError(E_FAILURE, "storage", "full")
            file.append(byte ^ 0x10 if self.flip == index else byte)
        self._spend()

    def remove(self, name):
        self._spend()
        self.files.pop(name, None)

    def _file(self, name):
        if name not in self.files:
            raise DeviceError(E_NOEXIST, "storage", name)
        return self.files[name]

    def _spend(self):
        if self.power is not None:
            if self.power == 0:
                raise PowerCut()
            self.power -= 1


class QuickCurve:
    """For tests of files alone: any 32 bytes are a key, and its public key is their hash, twice; but for the health check's key."""

    def is_private_key(self, private):
        return True

    def is_public_key(self, public):
        return True

    def public_key(self, private):
        return TEST_PUBLIC if private == TEST_KEY else sha256(private).digest() * 2

    def sign(self, private, digest):
        return sha256(self.public_key(private) + digest).digest() * 2

    def verify(self, public, digest, signature):
        return signature == sha256(public + digest).digest() * 2


def enabled(storage, curve=None):
    element = SoftwareKey(storage, curve or QuickCurve())
    element.open()
    element.claim()
    asyncio.run(element.enable())
    return element


def do(call, *arguments):
    return asyncio.run(call(*arguments))


def code_of(call, *arguments):
    return raises(DeviceError, do, call, *arguments).code


def key_or_none(element, slot):
    try:
        return do(element.public_key, slot)
    except DeviceError as error:
        assert error.code == E_NOEXIST
        return None


def test_it_keeps_the_contract():
    assert CONTRACT.missing(SoftwareKey(Flash())) == []
    assert SoftwareKey(Flash()).in_hardware is False


def test_a_generated_key_signs_and_verifies():
    element = enabled(Flash(), P256())
    public = do(element.generate_key, 2)
    assert len(public) == 64
    assert do(element.public_key, 2) == public
    signature = do(element.sign, 2, DIGEST)
    assert len(signature) == 64
    assert do(element.verify, public, DIGEST, signature) is True
    assert do(element.verify, public, sha256(b"another").digest(), signature) is False
    assert do(element.verify, bytes(64), DIGEST, signature) is False


def test_the_curve_of_the_runtime_is_taken_where_none_is_given():
    element = SoftwareKey(Flash())
    element.open()
    element.claim()
    asyncio.run(element.enable())
    public = do(element.generate_key, 0)
    assert P256().verify(public, DIGEST, do(element.sign, 0, DIGEST))


def test_keys_stay_after_a_restart_and_slots_are_apart():
    flash = Flash()
    element = enabled(flash)
    keys = [do(element.generate_key, slot) for slot in (0, 1, 11, 15)]
    assert len(set(keys)) == 4
    again = enabled(flash)
    assert [do(again.public_key, slot) for slot in (0, 1, 11, 15)] == keys
    assert code_of(again.public_key, 5) == E_NOEXIST
    assert flash.names() == ["key.0.1", "key.1.1", "key.11.1", "key.15.1"]
    assert flash.size("key.0.1") == LENGTH


def test_a_new_key_replaces_the_old_one_and_its_file():
    flash = Flash()
    element = enabled(flash)
    old = do(element.generate_key, 4)
    new = do(element.generate_key, 4)
    assert old != new and do(element.public_key, 4) == new
    assert flash.names() == ["key.4.2"]


def test_generations_are_counted_as_numbers():
    flash = Flash()
    element = enabled(flash)
    for _ in range(10):
        before = bytes(flash.files.get("key.4.9", b""))
        newest = do(element.generate_key, 4)
    assert flash.names() == ["key.4.10"]
    flash.files["key.4.9"] = bytearray(before)  # as if power had been cut before it was removed
    assert do(element.public_key, 4) == newest
    assert do(element.generate_key, 4) != newest
    assert flash.names() == ["key.4.11"]


def test_power_cut_at_any_byte_leaves_the_old_key_or_the_new_one():
    for cut in range(LENGTH + 3):
        flash = Flash()
        old = do(enabled(flash).generate_key, 1)
        element = enabled(flash)
        flash.power = cut
        try:
            new = do(element.generate_key, 1)
            assert cut == LENGTH + 2  # each byte, being durable, and removing the old one
        except PowerCut:
            new = None
        flash.power = None
        key = key_or_none(enabled(flash), 1)
        if cut < LENGTH:
            assert key == old, cut
        elif new is None:
            assert key is not None and key != old, cut
        else:
            assert key == new
        assert len(flash.names()) == 1  # bring-up has tidied up
        restarted = enabled(flash)
        assert do(restarted.generate_key, 1) == do(restarted.public_key, 1)
        assert len(flash.names()) == 1


def test_power_cut_at_the_first_key_leaves_an_empty_slot_or_the_key():
    for cut in range(LENGTH + 1):
        flash = Flash()
        element = enabled(flash)
        flash.power = cut
        raises(PowerCut, do, element.generate_key, 1)
        flash.power = None
        assert (key_or_none(enabled(flash), 1) is not None) == (cut == LENGTH), cut


def test_power_cut_while_tidying_up_leaves_the_newest_key():
    for cut in range(4):
        flash = Flash()
        element = enabled(flash)
        do(element.generate_key, 1)
        first = bytes(flash.files["key.1.1"])
        newest = do(element.generate_key, 1)
        flash.files["key.1.1"] = bytearray(first)
        flash.files["key.1.3"] = bytearray(first[:50])
        flash.power = cut
        try:
            enabled(flash)
            assert cut >= 2
        except PowerCut:
            assert cut < 2
        flash.power = None
        assert do(enabled(flash).public_key, 1) == newest
        assert flash.names() == ["key.1.2"]


def test_erase_empties_the_slot_and_no_other():
    flash = Flash()
    element = enabled(flash)
    do(element.generate_key, 1)
    other = do(element.generate_key, 11)
    do(element.erase, 1)
    assert code_of(element.public_key, 1) == E_NOEXIST
    assert code_of(element.sign, 1, DIGEST) == E_NOEXIST
    assert do(element.public_key, 11) == other
    do(element.erase, 1)  # an empty slot may be erased


def test_power_cut_while_erasing_never_brings_an_older_key_back():
    for cut in range(3):
        flash = Flash()
        element = enabled(flash)
        do(element.generate_key, 1)
        first = bytes(flash.files["key.1.1"])
        newest = do(element.generate_key, 1)
        flash.files["key.1.1"] = bytearray(first)  # as if power had been cut before it was removed
        flash.power = cut
        try:
            do(element.erase, 1)
        except PowerCut:
            pass
        flash.power = None
        assert key_or_none(enabled(flash), 1) == (newest if cut < 2 else None), cut


def test_full_storage_keeps_the_old_key():
    for fits in range(LENGTH):
        flash = Flash()
        element = enabled(flash)
        old = do(element.generate_key, 1)
        flash.full_after = fits
        assert code_of(element.generate_key, 1) == E_FAILURE
        assert flash.names() == ["key.1.1"]
        assert do(element.public_key, 1) == old


def test_a_key_that_does_not_read_back_is_not_taken():
    for index in (0, 1, 2, 40, LENGTH - 1):
        flash = Flash()
        element = enabled(flash)
        old = do(element.generate_key, 1)
        flash.flip = index
        assert code_of(element.generate_key, 1) == E_FAILURE
        assert flash.names() == ["key.1.1"]
        assert do(element.public_key, 1) == old


def test_a_damaged_key_is_not_used_and_is_reported():
    for index in range(LENGTH):
        flash = Flash()
        do(enabled(flash).generate_key, 3)
        flash.files["key.3.1"][index] ^= 0x04
        element = enabled(flash)
        assert code_of(element.sign, 3, DIGEST) == E_NOEXIST
        assert flash.names() == ["key.3.1"]
        health = do(element.check_health, 1)
        assert (health.outcome, health.cause, health.code) == ("fail", "key_damaged", E_FAILURE)
        assert "3" in health.detail
    do(element.generate_key, 3)  # mends it
    assert do(element.check_health, 1).outcome == "success"


def test_a_key_moved_to_another_slot_is_not_used():
    flash = Flash()
    do(enabled(flash).generate_key, 3)
    flash.files["key.4.9"] = flash.files.pop("key.3.1")
    assert code_of(enabled(flash).public_key, 4) == E_NOEXIST


def test_bytes_after_the_end_make_it_damaged():
    flash = Flash()
    do(enabled(flash).generate_key, 3)
    flash.files["key.3.1"].append(0)
    assert code_of(enabled(flash).public_key, 3) == E_NOEXIST


def test_files_of_others_are_let_be():
    flash = Flash()
    others = ("key", "key.x.1", "key.1.x", "key.1", "key.1.2.3", "keys.1.2", "log.1.2")
    for name in others:
        flash.append(name, b"?")
    element = enabled(flash)
    do(element.generate_key, 1)
    do(element.erase, 1)
    assert set(flash.names()) == set(others)
    assert do(element.check_health, 1).outcome == "success"


def test_slots_and_digests_out_of_range_are_illegal():
    element = enabled(Flash())
    for slot in (-1, 16):
        for call in (element.generate_key, element.public_key, element.erase):
            assert code_of(call, slot) == E_ILLEGAL
        assert code_of(element.sign, slot, DIGEST) == E_ILLEGAL
    do(element.generate_key, 1)
    for digest in (b"", DIGEST[:31], DIGEST + b"\x00"):
        assert code_of(element.sign, 1, digest) == E_ILLEGAL


def test_nothing_works_before_enable():
    element = SoftwareKey(Flash(), QuickCurve())
    for call, arguments in (
        (element.generate_key, (1,)),
        (element.public_key, (1,)),
        (element.sign, (1, DIGEST)),
        (element.verify, (bytes(64), DIGEST, bytes(64))),
        (element.erase, (1,)),
        (element.transport_key, ()),
        (element.random, (8,)),
    ):
        assert code_of(call, *arguments) == E_DISABLED


def test_a_transport_key_is_a_pair_that_is_not_kept():
    flash = Flash()
    element = enabled(flash, P256())
    private, public = do(element.transport_key)
    assert len(private) == 32 and P256().public_key(private) == public
    assert do(element.transport_key)[0] != private
    assert flash.names() == []


def test_random_gives_as_many_bytes_as_asked_for():
    element = enabled(Flash())
    assert [len(asyncio.run(element.random(length))) for length in (0, 1, 32)] == [0, 1, 32]
    assert asyncio.run(element.random(16)) != asyncio.run(element.random(16))


def test_keys_out_of_range_are_drawn_again():
    class Picky(QuickCurve):
        asked = 0

        def is_private_key(self, private):
            self.asked += 1
            return self.asked == 3

    curve = Picky()
    do(enabled(Flash(), curve).generate_key, 1)
    assert curve.asked == 3


def test_health_is_good_with_the_curves_of_the_project():
    flash = Flash()
    element = enabled(flash, P256())
    do(element.generate_key, 1)
    do(element.generate_key, 2)
    health = do(element.check_health, 1)
    assert (health.outcome, health.measurements) == ("success", {"keys": 2})


def test_health_finds_a_curve_that_signs_wrong():
    class Wrong(QuickCurve):
        def sign(self, private, digest):
            return bytes(64)

        def verify(self, public, digest, signature):
            return signature != bytes(64)

    assert do(enabled(Flash(), QuickCurve()).check_health, 1).outcome == "success"
    health = do(enabled(Flash(), Wrong()).check_health, 1)
    assert (health.outcome, health.cause, health.code) == ("fail", "signature_wrong", E_FAILURE)


def test_health_finds_a_curve_that_takes_everything():
    class Lax(QuickCurve):
        def verify(self, public, digest, signature):
            return True

    assert do(enabled(Flash(), Lax()).check_health, 1).cause == "signature_wrong"


def test_health_finds_random_numbers_that_repeat():
    class Stuck(SoftwareKey):
        async def random(self, length):
            return bytes(length)

    element = Stuck(Flash(), QuickCurve())
    element.open()
    element.claim()
    asyncio.run(element.enable())
    health = do(element.check_health, 1)
    assert (health.outcome, health.cause) == ("fail", "random_stuck")


def test_storage_that_fails_shows_in_the_health():
    class Broken(Flash):
        def names(self):
            raise DeviceError(E_FAILURE, "storage", "no answer")

    element = SoftwareKey(Broken(), QuickCurve())
    element.open()
    element.claim()
    assert code_of(element.enable) == E_FAILURE
    health = do(element.check_health, 1)
    assert (health.outcome, health.cause, health.code) == ("fail", "bring_up", E_FAILURE)
