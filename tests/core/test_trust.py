"""The acquirer's keys over the years: added with a proof, by a key trusted already; retired by another one; and never none left."""

import asyncio

from firmware_agent.identity.identity import KEY_IDENTITY, Identity
from firmware_agent.identity.trust import MOST_KEYS, TrustError, proof_digest, retired, trusted
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.inbound import Judge
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.orders import OrderError, effect_of
from firmware_agent.selftest.firmware_image import (
    KEY_MANIFEST,
    MANIFEST_NAME,
    SIGNED_FOR,
    check_image,
    manifest_payload,
)
from firmware_agent.terminal import KEY_HIGHEST
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS
from hal.drivers.software_key import SoftwareKey
from tests.core.parts import NOW_S, Flash, PowerCut, QuickCurve, Time, clock, enabled
from tests.core.support import raises
from tests.core.terminal_parts import ACQUIRER, TERMINAL, boot, provisioned

ORDER = topic(ACQUIRER, TERMINAL, "order")
DIGEST = b"\x01" * 32


class Office:
    """The acquirer: keys in the slots of its own element."""

    def __init__(self):
        self.element = enabled(SoftwareKey(Flash(), QuickCurve()))
        self.keys = [asyncio.run(self.element.generate_key(slot)) for slot in range(MOST_KEYS + 1)]
        self.sequence = 0

    def proof(self, slot, acquirer=ACQUIRER, key=None):
        return asyncio.run(self.element.sign(slot, proof_digest(acquirer, key or self.keys[slot])))

    def order(self, slot, fields):
        """A signed order, by the key in that slot."""
        self.sequence += 1
        claims = Claims(kind_named("order"), TERMINAL, self.sequence, fields, ACQUIRER, NOW_S, NOW_S + 3600)
        return asyncio.run(sign(self.element, slot, key_id(self.keys[slot]), encode(claims.to_map()), ORDER))

    def trust(self, new, by):
        return self.order(by, {"action": "trust_key", "key": self.keys[new], "proof": self.proof(new)})

    def retire(self, old, by):
        return self.order(by, {"action": "retire_key", "key_id": key_id(self.keys[old])})


def terminal_of(office, *slots, flash=None):
    flash = flash or Flash()
    provisioned(flash, [office.keys[slot] for slot in slots])
    return boot(flash)


def obey(terminal, message):
    """As the agent does it: judged by the keys as they are now, and done in one write. Gives the refusal, '' for none."""
    judge = Judge(terminal.hal.secure_element, ACQUIRER, TERMINAL, terminal.identity.acquirer_keys)
    verdict = asyncio.run(judge.judge(ORDER, message, terminal.highest, NOW_S, 2))
    if verdict.refusal:
        return verdict.refusal
    try:
        effect = asyncio.run(effect_of(terminal, verdict.claims, verdict.signed_by))
    except OrderError as error:
        return error.code
    terminal.apply(effect.events, effect.messages, effect.changes + [(KEY_HIGHEST, encode(verdict.claims.sequence))])
    terminal.identity = effect.identity or terminal.identity
    return ""


def boot_and_obey(flash, message):
    return obey(boot(flash), message)


def keys_on(flash):
    """What the next boot trusts."""
    return boot(Flash(flash.files)).identity.acquirer_keys


def test_a_roll_over_adds_the_next_key_uses_both_and_ends_with_the_next_alone():
    office, flash = Office(), Flash()
    terminal = terminal_of(office, 0, flash=flash)
    self_test = {"action": "self_test"}
    assert obey(terminal, office.order(1, self_test)) == "unknown_key"
    assert obey(terminal, office.trust(1, by=0)) == ""
    assert keys_on(flash) == office.keys[:2]
    assert obey(terminal, office.order(0, self_test)) == "" and obey(terminal, office.order(1, self_test)) == ""
    assert obey(terminal, office.retire(0, by=1)) == ""
    assert keys_on(flash) == office.keys[1:2]
    assert obey(terminal, office.order(0, self_test)) == "unknown_key"
    assert obey(terminal, office.order(1, self_test)) == ""


def test_nobody_pins_a_key_that_he_does_not_hold():
    office = Office()
    terminal = terminal_of(office, 0)
    theirs = office.keys[1]
    for proof in (
        office.proof(0, key=theirs),  # signed by another key
        office.proof(1, acquirer="acq2"),  # for another acquirer
        office.proof(1, key=office.keys[2]),  # for another key
        asyncio.run(office.element.sign(1, DIGEST)),  # of something else
        bytes(64),
        b"",
    ):
        assert obey(terminal, office.order(0, {"action": "trust_key", "key": theirs, "proof": proof})) == "key_refused"
    for key in (b"", theirs[:63], theirs + b"\x00"):
        assert obey(terminal, office.order(0, {"action": "trust_key", "key": key, "proof": office.proof(1)})) == "key_refused"
    assert obey(terminal, office.order(0, {"action": "trust_key"})) == "key_refused"
    assert terminal.identity.acquirer_keys == office.keys[:1]


def test_a_key_that_is_trusted_already_is_not_kept_twice():
    office = Office()
    terminal = terminal_of(office, 0, 1)
    assert obey(terminal, office.trust(1, by=0)) == "" and obey(terminal, office.trust(0, by=0)) == ""
    assert terminal.identity.acquirer_keys == office.keys[:2]


def test_no_more_than_four_are_kept():
    office = Office()
    terminal = terminal_of(office, 0)
    for slot in range(1, MOST_KEYS):
        assert obey(terminal, office.trust(slot, by=slot - 1)) == ""
    assert obey(terminal, office.trust(MOST_KEYS, by=0)) == "key_refused"
    assert obey(terminal, office.trust(1, by=0)) == ""  # one of the four
    assert obey(terminal, office.retire(0, by=1)) == "" and obey(terminal, office.trust(MOST_KEYS, by=1)) == ""
    assert terminal.identity.acquirer_keys == office.keys[1:]


def test_a_key_is_retired_by_another_one_only_and_the_last_one_never():
    office = Office()
    terminal = terminal_of(office, 0, 1)
    assert obey(terminal, office.retire(0, by=0)) == "key_refused"
    assert obey(terminal, office.retire(2, by=0)) == "key_refused"
    assert obey(terminal, office.order(0, {"action": "retire_key"})) == "key_refused"
    assert obey(terminal, office.retire(1, by=0)) == ""
    assert obey(terminal, office.retire(0, by=0)) == "key_refused"
    raises(TrustError, retired, terminal.identity, key_id(office.keys[0]), b"")
    assert terminal.identity.acquirer_keys == office.keys[:1]


def test_an_order_to_trust_or_retire_is_refused_a_second_time():
    office = Office()
    terminal = terminal_of(office, 0, 1)
    retire = office.retire(0, by=1)
    assert obey(terminal, retire) == "" and obey(terminal, retire) == "replayed"
    trust = office.trust(0, by=1)
    assert obey(terminal, trust) == "" and obey(terminal, retire) == "replayed"  # or a key that came back would go again


def test_cut_off_at_any_write_the_terminal_trusts_the_old_keys_or_the_new_ones():
    office = Office()
    for order, after in ((office.trust(1, by=0), office.keys[:3:2] + office.keys[1:2]), (office.retire(2, by=0), office.keys[:1])):
        before = Flash()
        terminal_of(office, 0, 2, flash=before)
        whole = Flash(before.files)
        terminal = boot(whole)
        booted = len(whole.writes)
        assert obey(terminal, order) == ""
        assert len(whole.writes) > booted
        for write in range(booted, len(whole.writes)):
            for keep_bytes in (0, 1, whole.writes[write] // 2, whole.writes[write] - 1, whole.writes[write]):
                flash = Flash(before.files)
                flash.cut(write + 1, keep_bytes)
                raises(PowerCut, boot_and_obey, flash, order)
                flash.power_up()
                assert keys_on(flash) == (after if keep_bytes == whole.writes[write] else [office.keys[0], office.keys[2]])


class Program:
    """The files of a program, for reading."""

    def __init__(self, files):
        self.files = files

    def names(self, folder=""):
        return sorted(self.files) if not folder else []

    def is_folder(self, name):
        return False

    def size(self, name):
        return len(self.files[name])

    def read(self, name, offset, length):
        return self.files[name][offset : offset + length]

    def read_into(self, name, offset, buffer):
        data = self.files[name][offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)


def manifest(office, slot, content=b"pass"):
    from hashlib import sha256

    payload = manifest_payload("1", {"main.py": sha256(content).digest()})
    return asyncio.run(sign(office.element, slot, key_id(office.keys[slot]), payload, SIGNED_FOR))


def image(terminal):
    hal = terminal.hal
    keys, vouched = terminal.identity.acquirer_keys, terminal.store.get(KEY_MANIFEST)
    time = Time()
    return time.run(check_image(hal.program, hal.secure_element, keys, clock(time), "1", vouched))


def test_the_program_that_a_retired_key_has_vouched_for_stays_good_and_no_other_by_that_key():
    office, flash = Office(), Flash()
    terminal = terminal_of(office, 0, 1, flash=flash)
    terminal.hal.program = Program({"main.py": b"pass", MANIFEST_NAME: manifest(office, 0)})
    assert obey(terminal, office.retire(0, by=1)) == ""
    assert image(terminal).outcome == HEALTH_SUCCESS
    woken = boot(Flash(flash.files))
    woken.hal.program = terminal.hal.program
    assert image(woken).outcome == HEALTH_SUCCESS
    woken.hal.program = Program({"main.py": b"evil", MANIFEST_NAME: manifest(office, 0, b"evil")})
    assert (image(woken).outcome, image(woken).cause) == (HEALTH_FAIL, "manifest_wrong")
    woken.hal.program = Program({"main.py": b"next", MANIFEST_NAME: manifest(office, 1, b"next")})
    assert image(woken).outcome == HEALTH_SUCCESS
    woken.hal.program = Program({"main.py": b"evil", MANIFEST_NAME: manifest(office, 0)})
    assert image(woken).cause == "file_changed"


def test_a_manifest_that_the_retired_key_has_not_signed_is_not_vouched_for():
    office = Office()
    good = manifest(office, 0)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    for data in (manifest(office, 1), forged, b"", b"\xff" * 40):
        terminal = terminal_of(office, 0, 1)
        terminal.hal.program = Program({"main.py": b"pass", MANIFEST_NAME: data})
        assert obey(terminal, office.retire(0, by=1)) == ""
        assert terminal.store.get(KEY_MANIFEST) is None
    terminal = terminal_of(office, 0, 1)
    terminal.hal.program = Program({"main.py": b"pass"})
    assert obey(terminal, office.retire(0, by=1)) == "" and terminal.store.get(KEY_MANIFEST) is None


def test_what_a_proof_signs_is_as_documented():
    from hashlib import sha256

    key = bytes(range(64))
    expected = sha256(b"\x83\x73reinstate trust_key\x64acq1\x58\x40" + key).digest()
    assert proof_digest("acq1", key) == expected


def test_the_identity_that_was_is_left_as_it_is():
    office = Office()
    terminal = terminal_of(office, 0, 1)
    before = terminal.identity
    after = asyncio.run(trusted(before, terminal.hal.secure_element, office.keys[2], office.proof(2)))
    assert before.acquirer_keys == office.keys[:2] and after.acquirer_keys == office.keys[:3]
    assert retired(after, key_id(office.keys[1]), key_id(office.keys[0]))[0].acquirer_keys == office.keys[:3:2]
    assert Identity.load(terminal.store).encoded() == terminal.store.get(KEY_IDENTITY) == before.encoded()
