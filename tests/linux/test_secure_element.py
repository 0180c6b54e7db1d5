"""Secure elements of a Linux terminal, a token of SoftHSM and a folder of files: the contract, and every way to lose a key or a login."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from pkcs11 import Attribute, ObjectClass, TokenFlag

from firmware_agent.selftest.diagnosis import diagnose
from firmware_agent.selftest.engine import run_phases
from firmware_agent.selftest.plans import POWER_ON, plan_phases
from firmware_agent.selftest.subject import Subject
from hal.compat import p256
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Health
from hal.drivers.linux import pkcs11_token
from hal.drivers.linux.key_file import KeyFile
from hal.drivers.linux.pkcs11_token import Pkcs11Token
from hal.errors import E_FAILURE, E_NOEXIST, E_NOHARDWARE, E_NOSERVICE, E_TIMEOUT, DeviceError
from hal.hal import Hal
from host_sim.linux.token import COUNT_LOW, ENVIRONMENT, FINAL_TRY, LOCAL, KeyFolder, Token, _attributes, library, make_store
from host_sim.pki import TestAuthority
from tests.hal.test_secure_elements import (  # noqa: F401  # what every secure element promises, asked of these two by the fixture `on`
    test_a_made_key_signs_and_its_signature_verifies_here_and_elsewhere,
    test_a_new_key_replaces_the_old_one_and_no_other,
    test_a_transport_key_is_a_pair_and_another_each_time,
    test_an_empty_slot_does_not_exist,
    test_an_erased_key_never_signs_again,
    test_any_public_key_may_be_verified_with,
    test_it_agrees_by_a_key_that_is_used_once,
    test_it_is_healthy_with_keys_and_without,
    test_it_keeps_the_contract,
    test_keys_stay_after_a_restart,
    test_nothing_works_once_disabled,
    test_random_numbers_have_the_length_asked_for_and_differ,
    test_slots_and_digests_out_of_range_are_illegal,
)
from tests.linux.support import bring_up, real_clock

pytestmark = pytest.mark.needs("softhsm2")

T = TypeVar("T")
DIGEST = sha256(b"a message").digest()
CURVE = p256()
AUTHORITY = TestAuthority()
NOBODY = 65534


def loaded() -> Any:
    """The library that the driver uses, under the name that it has for it."""
    return pkcs11.lib(os.path.realpath(library()))


@functools.cache
def shared_store() -> Path:
    """Of this process, whose library reads once which one it is; gone with it."""
    folder = tempfile.TemporaryDirectory(prefix="reinstate-softhsm-")
    atexit.register(folder.cleanup)
    store = Path(folder.name) / "store"
    make_store(store)
    os.environ[ENVIRONMENT] = str(store / "softhsm2.conf")
    return store


class Bench:
    """A model and a driver on it, brought up unless it fails; `restarted()` gives a driver that knows only what lasts."""

    def __init__(self, part: str, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self.clock = real_clock()
        self.model: Any = Token(folder, shared_store()) if part == "pkcs11" else KeyFolder(folder)
        self.run(self.model.start())
        self.element: Any = self.restarted()

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(program)

    def error_of(self, program: Coroutine[Any, Any, Any]) -> DeviceError:
        with pytest.raises(DeviceError) as raised:
            self.run(program)
        return raised.value

    def driver(self, **other: Any) -> Any:
        section = {**self.model.section(), "clock": self.clock, **other}
        return Pkcs11Token(**section) if self.model.part == "pkcs11" else KeyFile(**section)

    def restarted(self) -> Any:
        self.element = self.driver()
        try:
            self.run(bring_up(self.element))
        except DeviceError as error:
            assert error is self.element.bring_up_error
        return self.element

    def forget_login(self) -> None:
        """As when the process ends: the module starts anew, and everybody has to log in."""
        loaded().reinitialize()
        pkcs11_token._module(library()).restarts += 1

    def health(self) -> Health:
        health: Health = self.run(self.element.check_health())
        return health

    def found(self, public: bytes) -> list[tuple[str, str]]:
        """What the self-test of a terminal whose certificate is for that key says: component and cause."""
        storage: Any = SimpleNamespace(kind="storage")
        terminal: Any = SimpleNamespace(identity=SimpleNamespace(slot=0, certificate=AUTHORITY.client("t1", public).certificate_der))
        hal = Hal("linux_terminal", "1", self.clock, storage, self.element)
        subject = Subject(hal, terminal)
        phases = [phase for phase in plan_phases(POWER_ON, hal) if phase.kind == "secure_element"]
        assert len(phases) == 2
        results = self.run(run_phases(subject, phases, lambda result: None))
        diagnoses = [diagnosis for diagnosis in map(diagnose, results) if diagnosis is not None]
        return [(diagnosis.component, diagnosis.cause.code) for diagnosis in diagnoses]

    def close(self) -> None:
        self.run(self.model.stop())
        self._runner.close()


@pytest.fixture(params=["pkcs11", "key_file"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(request.param, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def token(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("pkcs11", tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("key_file", tmp_path)
    yield bench
    bench.close()


def verifies(public: bytes, digest: bytes, signature: bytes) -> None:
    """By `cryptography` alone, from the bytes of the contract. Raises InvalidSignature."""
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(public[:32], "big"), int.from_bytes(public[32:], "big"), ec.SECP256R1())
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    numbers.public_key().verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))


def objects_of(bench: Bench) -> list[Any]:
    """What lies on the token, seen by its user in a session of the test's own."""
    found = loaded().get_token(token_label=bench.model.label)
    session = found.open(rw=True)  # logged in, as the driver in this process is
    return list(session.get_objects())


# Both.


def test_the_bytes_are_those_that_others_read(on: Bench) -> None:
    public = on.run(on.element.generate_key(3))
    for digest in (DIGEST, bytes(32), b"\xff" * 32):
        verifies(public, digest, on.run(on.element.sign(3, digest)))
    assert on.model.keys == {3: public}  # as it lies in the store's own files


FAULTS = [(kind.part, name) for kind in (Token, KeyFolder) for name in sorted(kind.FAULTS)]


@pytest.mark.parametrize(("part", "name"), FAULTS)
def test_each_fault_is_found_from_the_start_and_mended_without_a_restart(part: str, name: str, tmp_path: Path) -> None:
    bench = Bench(part, tmp_path)
    public = bench.run(bench.element.generate_key(0))
    bench.run(bench.element.generate_key(1))
    assert bench.found(public) == []
    bench.model.fault(name)
    bench.forget_login()
    bench.restarted()
    cause = bench.model.FAULTS[name].cause
    assert bench.found(public)[0] == ("secure_element", cause)
    assert bench.found(public)[0] == ("secure_element", cause)  # not only the first time
    bench.model.fault(name, False)
    assert bench.found(public) == []
    verifies(public, DIGEST, bench.run(bench.element.sign(0, DIGEST)))
    bench.close()


@pytest.mark.parametrize(("part", "name"), [fault for fault in FAULTS if fault[1] != "wrong_pin"])  # nobody asks for the PIN again
def test_each_fault_is_found_while_it_runs(part: str, name: str, tmp_path: Path) -> None:
    bench = Bench(part, tmp_path)
    public = bench.run(bench.element.generate_key(0))
    assert bench.found(public) == []
    bench.model.fault(name)
    assert bench.found(public)[0] == ("secure_element", bench.model.FAULTS[name].cause)
    bench.model.fault(name, False)
    assert bench.found(public) == []
    bench.close()


def test_a_key_made_while_keys_were_lost_stays_when_they_are_found_again(on: Bench) -> None:
    for fault in ("key_lost", "wrong_key"):
        on.run(on.element.generate_key(0))
        on.model.fault(fault)
        public = on.run(on.element.generate_key(0))
        on.model.fault(fault, False)
        assert on.run(on.element.public_key(0)) == public and on.model.keys == {0: public}
    on.model.forget_keys()
    assert on.error_of(on.element.public_key(0)).code == E_NOEXIST


CHILD = """
import asyncio, sys, os
from hal.drivers.linux.key_file import KeyFile
from hal.drivers.linux.pkcs11_token import Pkcs11Token
from hal.errors import DeviceError
from tests.linux.support import bring_up, real_clock

async def main(element):
    try:
        await bring_up(element)
        say = sys.stdin.readline().strip()
        while say == "again":
            print((await element.generate_key(0)).hex(), flush=True)
        print((await element.sign(0, bytes(32))).hex(), flush=True)
    except DeviceError as error:
        print(error.cause, error.detail, flush=True)

part, *arguments = sys.argv[1:]
element = {"pkcs11": Pkcs11Token, "key_file": KeyFile}[part](*arguments, clock=real_clock())
if os.environ.get("AS_NOBODY"):
    import pkcs11._pkcs11  # whose file nobody may be unable to read
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main(element))
"""


def child(bench: Bench, **how: Any) -> subprocess.Popen[str]:
    """A program of its own on the same element: it waits for a line, signs, or makes keys again and again."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, bench.model.part, *map(str, bench.model.section().values())],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **bench.model.environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **how,
    )


def test_a_program_that_is_killed_while_it_makes_keys_leaves_the_old_or_the_new_one(on: Bench) -> None:
    """Killed at other moments each time: a key takes 15 ms."""
    for delay_ms in (0, 4, 8, 12):
        with child(on) as program:
            assert program.stdin is not None and program.stdout is not None
            program.stdin.write("again\n")
            program.stdin.flush()
            program.stdout.readline()
            old = bytes.fromhex(program.stdout.readline())
            on.run(on.clock.sleep_ms(delay_ms))
            program.kill()
            told = [bytes.fromhex(line) for line in program.stdout.read().split() if len(line) == 128]
        on.forget_login()
        on.restarted()
        public = on.run(on.element.public_key(0))
        verifies(public, DIGEST, on.run(on.element.sign(0, DIGEST)))
        assert on.health().outcome == HEALTH_SUCCESS
        newer = on.run(on.element.generate_key(0))  # not held up by what is left
        assert on.run(on.element.public_key(0)) == newer
        assert public not in [old, *told][:-1]  # the last that was told, or one after it


def test_two_programs_and_two_terminals_stand_side_by_side(token: Bench, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Bench("pkcs11", tmp_path / "other")
    keys = [bench.run(bench.element.generate_key(0)) for bench in (token, other)]
    with child(token) as first, child(other) as second:
        for program, public in ((first, keys[0]), (second, keys[1])):
            said, _ = program.communicate("once\n")
            verifies(public, bytes(32), bytes.fromhex(said))
    token.model.fault("unplugged")
    assert token.health().cause == "unplugged"  # which starts the module anew under the other
    verifies(keys[1], DIGEST, other.run(other.element.sign(0, DIGEST)))
    assert other.health().outcome == HEALTH_SUCCESS
    token.model.fault("unplugged", False)
    verifies(keys[0], DIGEST, token.run(token.element.sign(0, DIGEST)))
    verifies(keys[1], DIGEST, other.run(other.element.sign(0, DIGEST)))
    other.close()


def test_trouble_with_another_token_of_the_module_starts_nothing_anew(token: Bench, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Bench("pkcs11", tmp_path / "other")
    token.model.fault("unplugged")
    restarts = pkcs11_token._module(library()).restarts
    other.restarted()
    assert other.health().outcome == HEALTH_SUCCESS
    assert pkcs11_token._module(library()).restarts == restarts
    other.close()


# The token: what lies on it.


def test_private_keys_are_made_inside_and_never_leave(token: Bench) -> None:
    token.run(token.element.generate_key(2))
    public, private = sorted(objects_of(token), key=lambda key: int(key.object_class))
    assert (private.object_class, public.object_class) == (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY)
    for key in (private, public):
        assert (key.label, key.id[:4], key[Attribute.TOKEN]) == ("reinstate.2", b"\x02\x00\x00\x01", True)
    assert public.id == private.id
    for attribute in (Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE, Attribute.NEVER_EXTRACTABLE, Attribute.LOCAL, Attribute.PRIVATE):
        assert private[attribute] is True, attribute
    assert private[Attribute.EXTRACTABLE] is False
    with pytest.raises(pkcs11.exceptions.AttributeSensitive):
        private[Attribute.VALUE]


def test_a_token_in_software_does_not_call_itself_hardware(token: Bench) -> None:
    """SoftHSM's slots have no CKF_HW_SLOT."""
    assert token.element.in_hardware is False


def test_of_two_whole_keys_the_newer_one_counts_and_half_a_key_does_not(token: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    old = token.run(token.element.generate_key(0))
    files = set(token.model._key_files())
    monkeypatch.setattr(pkcs11_token, "_remove", lambda objects: None)
    new = token.run(token.element.generate_key(0))
    assert token.run(token.element.public_key(0)) == new
    (private,) = [path for path in set(token.model._key_files()) - files if path.stat().st_size > 700]
    content = private.read_bytes()
    private.unlink()
    assert token.run(token.element.public_key(0)) == old
    verifies(old, DIGEST, token.run(token.element.sign(0, DIGEST)))
    unfinished = bytearray(content)
    unfinished[_attributes(content)[LOCAL][0]] = 0  # as SoftHSM has it before the key's value is there
    for left in (unfinished, content[:100]):
        private.write_bytes(left)
        token.model._count_change()
        token.forget_login()
        token.restarted()
        assert token.run(token.element.public_key(0)) == old
    private.write_bytes(content)
    monkeypatch.undo()
    token.forget_login()
    token.restarted()
    assert token.run(token.element.public_key(0)) == new
    assert len(objects_of(token)) == 2  # what was replaced is removed


class PowerCut(Exception):
    """Not an error that the driver may handle: everything stops here."""


@pytest.mark.parametrize("removals", [-1, 0, 1, 2])
def test_a_power_cut_at_each_step_leaves_the_old_or_the_new_key(removals: int, token: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """removals: of the old key's halves, that came about; -1: not even the new key was looked at."""
    old = token.run(token.element.generate_key(0))
    left = removals

    def cut(*_: Any) -> None:
        raise PowerCut

    def remove(objects: dict[bytes, list[Any]]) -> None:
        nonlocal left
        for halves in objects.values():
            for half in halves:
                if left == 0:
                    raise PowerCut
                half.destroy()
                left -= 1
        raise PowerCut

    monkeypatch.setattr(pkcs11_token, "_remove", remove)
    if removals < 0:
        monkeypatch.setattr(pkcs11_token, "_point", cut)
    with pytest.raises(PowerCut):
        token.run(token.element.generate_key(0))
    monkeypatch.undo()
    token.forget_login()
    token.restarted()
    public = token.run(token.element.public_key(0))
    assert public != old
    verifies(public, DIGEST, token.run(token.element.sign(0, DIGEST)))
    assert {key.id[:4] for key in objects_of(token)} == {b"\x00\x00\x00\x02"} and len(objects_of(token)) == 2
    assert token.health().outcome == HEALTH_SUCCESS
    token.run(token.element.generate_key(0))
    assert len(objects_of(token)) == 2


def test_an_erase_that_is_cut_off_leaves_no_key_that_can_be_used(token: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    token.run(token.element.generate_key(0))

    def remove_one(objects: dict[bytes, list[Any]]) -> None:
        next(iter(objects.values()))[0].destroy()
        raise PowerCut

    monkeypatch.setattr(pkcs11_token, "_remove", remove_one)
    with pytest.raises(PowerCut):
        token.run(token.element.erase(0))
    assert token.error_of(token.element.sign(0, DIGEST)).code == E_NOEXIST
    assert [key.object_class for key in objects_of(token)] == [ObjectClass.PRIVATE_KEY]
    monkeypatch.undo()
    token.run(token.element.erase(0))
    assert objects_of(token) == []


class Unsure:
    """A curve that finds every signature wrong."""

    def __getattr__(self, name: str) -> Any:
        return getattr(CURVE, name)

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        return False


def test_a_new_key_that_signs_wrong_is_taken_back(token: Bench) -> None:
    old = token.run(token.element.generate_key(0))
    token.element = token.driver(curve=Unsure())
    token.run(bring_up(token.element))
    assert token.error_of(token.element.generate_key(0)).cause == "signature_wrong"
    token.restarted()
    assert token.run(token.element.public_key(0)) == old
    assert len(objects_of(token)) == 2


def test_a_private_half_of_another_pair_is_a_wrong_signature(token: Bench) -> None:
    token.run(token.element.generate_key(0))
    (mine,) = [path for path in token.model._key_files() if path.stat().st_size < 700]
    token.run(token.element.generate_key(1))
    (other,) = [path for path in token.model._key_files() if path.stat().st_size < 700 and path != mine]
    ids = {label: id for label, id, _ in token.model._public_keys()}
    mine.write_bytes(other.read_bytes().replace(b"reinstate.1", b"reinstate.0").replace(ids[b"reinstate.1"], ids[b"reinstate.0"]))
    token.forget_login()
    token.restarted()
    health = token.health()
    assert (health.outcome, health.cause) == (HEALTH_FAIL, "signature_wrong") and "slot 0" in health.detail


def test_random_numbers_that_repeat_are_found(token: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11_token, "_random", lambda session, length: bytes(length))
    assert token.health().cause == "random_stuck"


# The token: its PIN.


def counts_low(bench: Bench) -> bool:
    """Whether the token says that a wrong PIN was entered since the last right one."""
    flags = loaded().get_token(token_label=bench.model.label).flags
    return bool(flags & TokenFlag.USER_PIN_COUNT_LOW)


def change_pin(bench: Bench, old: str, new: str) -> None:
    session = loaded().get_token(token_label=bench.model.label).open(rw=True, user_pin=old)
    session.set_pin(old, new)
    session.close()


def test_a_wrong_pin_is_tried_once_and_not_again_until_the_file_changes(token: Bench) -> None:
    """That it is not tried is seen by making it the right one."""
    token.model.fault("wrong_pin")
    token.forget_login()
    token.restarted()
    assert token.element.bring_up_error.cause == "wrong_pin" and counts_low(token)
    wrong = token.model.pin_file.read_text()
    change_pin(token, token.model.pin, wrong)
    assert not counts_low(token)
    for _ in range(3):
        token.forget_login()
        token.restarted()  # a new driver, as after the program's end
        assert token.element.bring_up_error.cause == "wrong_pin"
        assert "not tried again" in token.element.bring_up_error.detail
        assert token.health().cause == "wrong_pin"
    os.utime(token.model.pin_file)
    token.restarted()
    assert token.health().outcome == HEALTH_SUCCESS
    assert not token.model.pin_file.with_name("pin.refused").exists()


def test_nothing_of_a_pin_is_kept_or_told(token: Bench) -> None:
    token.model.fault("wrong_pin")
    token.forget_login()
    token.restarted()
    wrong = token.model.pin_file.read_text()
    note = token.model.pin_file.with_name("pin.refused")
    assert note.exists() and stat.S_IMODE(note.stat().st_mode) == 0o600
    assert wrong not in note.read_text() and wrong not in str(token.element.bring_up_error)
    assert token.model.pin not in str(token.element.bring_up_error)


def test_where_no_note_can_be_kept_it_is_remembered(token: Bench) -> None:
    token.model.fault("wrong_pin")
    token.model.pin_file.with_name("pin.refused").mkdir()
    token.forget_login()
    token.restarted()
    assert "refuses" in token.element.bring_up_error.detail
    change_pin(token, token.model.pin, token.model.pin_file.read_text())
    for _ in range(2):
        assert token.error_of(token.element.enable()).cause == "wrong_pin"
    token.model.fault("wrong_pin", False)
    change_pin(token, token.model.pin[::-1], token.model.pin)
    token.run(token.element.enable())


def test_the_last_try_is_left_to_a_person(token: Bench) -> None:
    token.model.flag(FINAL_TRY | COUNT_LOW)
    token.forget_login()
    token.restarted()  # with the right PIN
    assert token.element.bring_up_error.cause == "wrong_pin" and "one try left" in token.element.bring_up_error.detail
    token.model.flag(FINAL_TRY | COUNT_LOW, False)
    token.restarted()
    assert token.health().outcome == HEALTH_SUCCESS


def test_a_wrong_pin_of_somebody_else_keeps_no_terminal_from_its_own(token: Bench) -> None:
    token.forget_login()
    with pytest.raises(pkcs11.exceptions.PinIncorrect):
        loaded().get_token(token_label=token.model.label).open(user_pin="0000")
    assert counts_low(token)
    token.restarted()
    assert token.health().outcome == HEALTH_SUCCESS and not counts_low(token)


def test_a_login_that_others_end_makes_no_key_missing(token: Bench) -> None:
    """A login is the process's: who ends it ends that of all, and private keys are then neither seen nor removed."""
    public = token.run(token.element.generate_key(0))
    first = token.element
    second = token.restarted()
    first._session.close()
    assert token.run(second.public_key(0)) == public
    third = token.restarted()
    second._session.close()
    token.run(third.erase(0))
    assert objects_of(token) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_pin_that_others_could_get_at_is_not_used(mode: int, token: Bench) -> None:
    token.model.pin_file.chmod(mode)
    token.forget_login()
    token.restarted()
    error = token.element.bring_up_error
    assert (error.code, error.cause) == (E_FAILURE, "no_permission")
    assert f"mode {mode:04o}" in error.detail and "0600" in error.detail and str(token.model.pin_file) in error.detail
    assert stat.S_IMODE(token.model.pin_file.stat().st_mode) == mode  # not mended silently
    token.model.pin_file.chmod(0o400)
    token.restarted()
    assert token.health().outcome == HEALTH_SUCCESS


def test_what_is_no_pin_is_not_tried(token: Bench) -> None:
    def empty(path: Path) -> None:
        path.touch(0o600)

    def line(path: Path) -> None:
        path.touch(0o600)
        path.write_text("\n1234\n")

    def no_text(path: Path) -> None:
        path.touch(0o600)
        path.write_bytes(b"\xff\xfe12")

    for make in (empty, line, no_text, lambda path: os.mkfifo(path, 0o600), lambda path: path.mkdir(0o700)):
        token.model.pin_file.unlink()
        make(token.model.pin_file)
        token.forget_login()
        token.restarted()
        assert token.element.bring_up_error.cause == "wrong_pin" and "no PIN" in token.element.bring_up_error.detail
        assert not counts_low(token)
        shutil.rmtree(token.model.pin_file) if token.model.pin_file.is_dir() else token.model.pin_file.unlink()
        token.model.pin_file.touch(0o600)
    token.model.pin_file.write_text(token.model.pin + "\n")
    token.restarted()
    assert token.health().outcome == HEALTH_SUCCESS


@pytest.fixture
def of_nobody() -> Iterator[tuple[dict[str, str], Path]]:
    """A store with a token, pin 1234, of a user who is not root: environment, folder of the pin's file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tokens").mkdir()
        os.chown(folder / "tokens", NOBODY, NOBODY)
        (folder / "pins").mkdir()
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\n")
        environment = {**os.environ, "SOFTHSM2_CONF": str(folder / "softhsm2.conf"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = ["softhsm2-util", "--init-token", "--free", "--label", "t", "--pin", "1234", "--so-pin", "5678"]
        subprocess.run(command, env=environment, user=NOBODY, group=NOBODY, extra_groups=[], check=True, capture_output=True)
        yield environment, folder / "pins"


def said_by_nobody(environment: dict[str, str], pin_file: Path) -> str:
    command = [sys.executable, "-c", CHILD, "pkcs11", library(), "t", str(pin_file)]
    environment = {**environment, "AS_NOBODY": "1"}  # once it runs: nobody may not enter every folder that Python is found in
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, env=environment, input="once\n", stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.needs("root")
def test_a_pin_that_the_agent_may_not_read_names_whose_it_is_to_be(of_nobody: tuple[dict[str, str], Path]) -> None:
    environment, pins = of_nobody
    (pins / "pin").touch(0o600)
    said = said_by_nobody(environment, pins / "pin")
    assert said.startswith("no_permission ") and "user nobody alone" in said and "it is of root, mode 0600" in said
    pins.chmod(0o700)
    said = said_by_nobody(environment, pins / "pin")
    assert said.startswith("no_permission ") and "folders above" in said


@pytest.mark.needs("root")
def test_in_a_folder_that_takes_no_note_a_wrong_pin_is_tried_once_over_all_restarts(of_nobody: tuple[dict[str, str], Path]) -> None:
    environment, pins = of_nobody
    pin = pins / "pin"
    pin.touch(0o600)
    pin.write_text("4321")
    os.chown(pin, NOBODY, NOBODY)
    assert "refuses the PIN" in said_by_nobody(environment, pin)
    for content in ("4321", "1234"):  # by the token's own word alone: it cannot tell whether the file is another
        pin.write_text(content)
        assert said_by_nobody(environment, pin).startswith("wrong_pin a PIN was refused")
    os.chown(pins, NOBODY, NOBODY)
    assert said_by_nobody(environment, pin) == " slot 0 is empty\n"  # so far only one that is logged in gets


# The token: there, gone, and in trouble.


def test_a_token_that_is_taken_out_is_missed_and_one_that_is_put_back_works_again(token: Bench) -> None:
    public = token.run(token.element.generate_key(0))
    for use in (token.element.public_key(0), token.element.sign(0, DIGEST), token.element.generate_key(0), token.element.erase(5)):
        token.model.fault("unplugged")
        error = token.error_of(use)
        assert (error.code, error.cause) == (E_NOHARDWARE, "unplugged") and token.model.label in error.detail
        assert token.health().cause == "unplugged"
        token.model.fault("unplugged", False)
        assert token.health().outcome == HEALTH_SUCCESS
        assert token.run(token.element.public_key(0)) == public
    assert token.element.enabled


def test_an_empty_slot_of_a_token_that_is_gone_is_no_lost_key(token: Bench) -> None:
    token.model.fault("unplugged")
    assert token.error_of(token.element.public_key(0)).cause == "unplugged"


def test_a_module_that_is_missing_or_is_none_does_not_serve(token: Bench, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    for path in (tmp_path / "none.so", tmp_path / "text.so"):
        element = token.driver(module=str(path))
        error = token.error_of(bring_up(element))
        assert (error.code, error.cause) == (E_NOSERVICE, "service_down") and str(path) in error.detail
    (tmp_path / "text.so").unlink()
    (tmp_path / "text.so").symlink_to(library())  # installed since: found without a restart
    assert token.run(element.enable()) is None


def test_a_module_that_finds_its_store_no_more_does_not_serve(token: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "none"))
    token.model.fault("unplugged")  # makes the module start anew
    assert token.health().cause == "service_down"
    monkeypatch.undo()
    token.model.fault("unplugged", False)
    assert token.health().outcome == HEALTH_SUCCESS


def test_two_tokens_of_one_label_are_told_and_neither_is_used(token: Bench) -> None:
    token.model._utility("--init-token", "--free", "--label", token.model.label, "--so-pin", "5678", "--pin", "1234")
    token.forget_login()
    token.restarted()
    error = token.element.bring_up_error
    assert error.cause == "check_failed" and error.detail.startswith("2 tokens")


def test_what_a_module_says_is_told_by_its_cause() -> None:
    said = pkcs11.exceptions
    for error, code, cause in (
        (said.DeviceRemoved(), E_NOHARDWARE, "unplugged"),
        (said.PinLocked(), E_FAILURE, "locked"),
        (said.DeviceMemory(), E_FAILURE, "full"),
        (said.DeviceError(), E_FAILURE, "no_answer"),
        (said.MechanismInvalid(), E_FAILURE, "check_failed"),
    ):
        told = pkcs11_token._told(error)
        assert (told.code, told.cause) == (code, cause) and told.detail.endswith(type(error).__name__)


def test_a_module_that_is_in_a_call_holds_up_its_caller_and_nothing_else(token: Bench) -> None:
    module = pkcs11_token._module(library())
    ticks = 0

    async def program() -> bytes:
        nonlocal ticks
        drawing = asyncio.create_task(token.element.random(8))
        while ticks < 50:
            await token.clock.sleep_ms(1)
            ticks += 1
        assert not drawing.done()
        module.lock.release()
        drawn: bytes = await drawing
        return drawn

    assert module.lock.acquire(timeout=1)
    assert len(token.run(program())) == 8


def test_a_module_that_hangs_is_given_up(token: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11_token, "_LIMIT_MS", 60)
    monkeypatch.setattr(pkcs11_token, "_TURN_S", 0.02)
    release = threading.Event()
    with pytest.raises(DeviceError) as raised:
        token.run(token.element._use(lambda session: release.wait(20), 60))
    assert (raised.value.code, raised.value.cause) == (E_TIMEOUT, "no_answer")
    error = token.error_of(token.element.sign(0, DIGEST))
    assert (error.code, error.cause) == (E_TIMEOUT, "no_answer") and "earlier call" in error.detail
    assert token.health().cause == "no_answer"
    release.set()
    module = pkcs11_token._module(library())
    assert module.lock.acquire(timeout=10)
    module.lock.release()
    assert token.health().outcome == HEALTH_SUCCESS


def test_nothing_is_touched_before_it_is_brought_up(tmp_path: Path) -> None:
    section: dict[str, Any] = {"module": str(tmp_path / "m"), "token": "t", "pin_file": str(tmp_path / "p")}
    assert Pkcs11Token(**section, clock=real_clock()).bring_up_error is None
    assert KeyFile(folder=str(tmp_path / "f"), clock=real_clock()).bring_up_error is None
    assert list(tmp_path.iterdir()) == []


# Files.


def test_keys_are_nobody_elses_whatever_the_umask(files: Bench) -> None:
    before = os.umask(0)
    try:
        files.run(files.element.generate_key(0))
    finally:
        os.umask(before)
    (path,) = files.model.place.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_is_durable_before_the_old_one_goes(files: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    files.run(files.element.generate_key(0))
    calls: list[str] = []
    fsync, remove = os.fsync, os.remove

    def noted_fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_remove(path: str) -> None:
        calls.append("remove")
        remove(path)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "remove", noted_remove)
    files.run(files.element.generate_key(0))
    assert calls == ["file", "folder", "remove", "folder"]


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_not_used(mode: int, files: Bench) -> None:
    files.run(files.element.generate_key(0))
    files.model.place.chmod(mode)
    for use in (files.element.sign(0, DIGEST), files.element.generate_key(1), files.element.erase(0)):
        error = files.error_of(use)
        assert error.cause == "no_permission" and f"mode {mode:04o}" in error.detail and "mode 0700" in error.detail
    assert stat.S_IMODE(files.model.place.stat().st_mode) == mode
    assert len(files.model.keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602])
def test_a_key_that_others_may_get_at_is_not_used(mode: int, files: Bench) -> None:
    files.run(files.element.generate_key(0))
    (path,) = files.model.place.iterdir()
    path.chmod(mode)
    error = files.error_of(files.element.sign(0, DIGEST))
    assert error.cause == "no_permission" and str(path) in error.detail and f"mode {mode:04o}" in error.detail
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_folder_that_is_missing_is_not_made(files: Bench) -> None:
    files.model.fault("unmounted")
    files.restarted()
    error = files.element.bring_up_error
    assert (error.code, error.cause) == (E_NOHARDWARE, "unplugged")
    assert not files.model.place.exists()


def test_a_disk_without_room_keeps_the_old_key(files: Bench) -> None:
    """As the kernel says it to a process that may write no more than so many bytes to a file."""
    public = files.run(files.element.generate_key(0))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
    try:
        assert files.error_of(files.element.generate_key(0)).code == E_FAILURE
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert files.run(files.element.public_key(0)) == public
    assert len(list(files.model.place.iterdir())) == 1
