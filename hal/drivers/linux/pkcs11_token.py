"""A PKCS#11 token: smart card, USB stick or HSM, by the module that its maker ships. Contract: hal/secure_element.py, level 1.

Source: OASIS PKCS #11 Base Specification 2.40 (calls and flags) and Current Mechanisms 2.40 (2.3: keys on curves, CKM_ECDSA).

A key is a pair of objects with the label `reinstate.<slot>` and the same CKA_ID: slot 1 byte, generation 3, big-endian, and 4 by chance, so
that it is never that of a half which a power cut left. A private half counts that the token says it has made (CKA_LOCAL), which is set when
it is finished, if its public half is there; of several the newest. What that one has replaced is removed, the public half first.

A token locks itself for good after a few wrong PINs: one that was refused is not tried again, not after a restart either, until its file
changes; a note of which file it was lies beside it as `<pin_file>.refused`.
"""

import errno
import os
import threading

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, SlotFlag, TokenFlag
from pkcs11.exceptions import (
    DeviceMemory,
    DeviceRemoved,
    MultipleTokensReturned,
    NoSuchKey,
    NoSuchToken,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    SlotIDInvalid,
    TokenNotPresent,
    TokenNotRecognised,
    TokenWriteProtected,
    UserAlreadyLoggedIn,
)

from hal.compat import p256, sync
from hal.device import HEALTH_FAIL, HEALTH_SUCCESS, Device, Health
from hal.drivers.linux.private_files import open_private
from hal.drivers.linux.worker import Worker
from hal.drivers.software_key import SLOTS
from hal.errors import E_FAILURE, E_ILLEGAL, E_NOEXIST, E_NOHARDWARE, E_NOSERVICE, E_TIMEOUT, DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from hal.clock import Clock
    from hal.compat import P256

    T = TypeVar("T")

_KIND = "secure_element"

_TURN_S = 3  # for another call into the same module to end
_LIMIT_MS = 4500  # login, search and signature; a smart card takes a second, and the check of the keys has five
_CHECK_LIMIT_MS = 9500
_GENERATE_LIMIT_MS = 60000  # smart cards search for a key of their own

_P256 = bytes.fromhex("06082a8648ce3d030107")  # CKA_EC_PARAMS: the curve's object identifier 1.2.840.10045.3.1.7, RFC 5480
_POINT = b"\x04"  # SEC 1, 2.3.3: not compressed, 04 || x || y
_OCTETS = b"\x04\x41"  # DER: an OCTET STRING of 65 bytes
_TEST_DIGEST = bytes(range(32))  # of no message that anybody knows
_ID_LENGTH = 8
_PIN_LIMIT = 256

# Code and cause of what the module says. UserAlreadyLoggedIn and the PIN's own are dealt with at the login.
_ERRORS: "tuple[tuple[tuple[type[PKCS11Error], ...], int, str], ...]" = (
    ((NoSuchKey,), E_NOEXIST, ""),
    ((NoSuchToken, TokenNotPresent, TokenNotRecognised, DeviceRemoved, SlotIDInvalid), E_NOHARDWARE, "unplugged"),
    ((PinLocked, TokenWriteProtected), E_FAILURE, "locked"),
    ((DeviceMemory,), E_FAILURE, "full"),
    ((pkcs11.exceptions.DeviceError,), E_FAILURE, "no_answer"),  # CKR_DEVICE_ERROR: something with token or reader
)
_WRONG_PIN = (PinIncorrect, PinInvalid, PinLenRange, PinExpired)


class Pkcs11Token(Device):
    """Each operation looks for its key anew. What fails in a session is tried once more in a new one: a token that was taken out and put
    back, or a login that somebody ended, is not noticed otherwise, and no key is said to be missing by a session that may not see it.
    """

    kind = _KIND
    part = "pkcs11"

    def __init__(self, module: str, token: str, pin_file: str, clock: "Clock", curve: "P256 | None" = None) -> None:
        """module: path of the maker's shared library; token: its label; pin_file: see the module's text; curve: what to verify with, if
        not the runtime's own choice.
        """
        super().__init__()
        self.in_hardware = False  # from bring-up on what the slot says (CKF_HW_SLOT)
        self._path = module
        self._label = token
        self._pin = _Pin(pin_file)
        self._worker = Worker("pkcs11", clock)
        self._curve = curve if curve is not None else p256()
        # Of the worker's thread:
        self._session: pkcs11.Session | None = None
        self._restarts = 0  # of the module, when the session was opened

    # The contract.

    async def generate_key(self, slot: int) -> bytes:
        """A new key, made in the token; the public key, 64 bytes x || y. After an error the old key is still there, unless the token was
        taken out or hung in the middle: then the slot holds the old key, or one that nobody is told of.
        """
        self._require_slot(slot)
        return await self._use(lambda session: self._generated(session, slot), _GENERATE_LIMIT_MS)

    async def public_key(self, slot: int) -> bytes:
        """Raises DeviceError E_NOEXIST: the slot is empty, or holds half a pair."""
        self._require_slot(slot)
        return await self._use(lambda session: _point(_key(session, slot)[0]))

    async def sign(self, slot: int, digest: bytes) -> bytes:
        """64 bytes r || s. Raises DeviceError E_NOEXIST (empty slot), E_ILLEGAL (the digest is not 32 bytes)."""
        self._require_slot(slot)
        if len(digest) != 32:
            raise DeviceError(E_ILLEGAL, self.kind, "a digest is 32 bytes")
        return await self._use(lambda session: _signature(_key(session, slot)[1], digest))

    async def verify(self, public_key: bytes, digest: bytes, signature: bytes) -> bool:
        """Not by the token: nothing here is secret."""
        self.require_enabled()
        return self._curve.verify(public_key, digest, signature)

    async def erase(self, slot: int) -> None:
        """Empty the slot. The oldest generation goes first: cut off in the middle, it leaves the key that counted, or none."""
        self._require_slot(slot)
        await self._use(lambda session: _remove(_objects(session, slot)), anew=True)  # nothing to remove has to be seen by a sound session

    async def random(self, length: int) -> bytes:
        self.require_enabled()
        return await self._use(lambda session: _random(session, length))

    async def transport_key(self) -> "tuple[bytes, bytes]":
        self.require_enabled()
        while True:  # a draw misses 1..n-1 once in 2^32 times
            private = await self.random(32)
            if self._curve.is_private_key(private):
                return private, self._curve.public_key(private)

    async def agree(self, public_key: bytes) -> "tuple[bytes, bytes]":
        """By the token's random numbers, in software: the key is used once. Raises DeviceError E_ILLEGAL: not a point on the curve."""
        self.require_enabled()
        if not self._curve.is_public_key(public_key):
            raise DeviceError(E_ILLEGAL, self.kind, "not a point on the curve")
        private, public = await self.transport_key()
        return public, self._curve.agree(private, public_key)

    # Life cycle. The login outlasts `disable`: it ends with the program, or when the token is gone.

    async def _bring_up(self) -> None:
        """Log in, and remove what a power cut left of keys that newer ones have replaced."""
        await self._use(_tidy)

    def _shut_down(self) -> None:
        self._worker.stop()

    async def _check_health(self, level: int) -> Health:
        """The internal check, at every level: token and PIN's file, random numbers, and a signature with each key."""
        return await self._use(self._checked, _CHECK_LIMIT_MS)

    # In the worker's thread.

    async def _use(self, work: "Callable[[pkcs11.Session], T]", limit_ms: int = _LIMIT_MS, anew: bool = False) -> "T":
        """What `work` gives of a session that is logged in; anew: that is new. Raises DeviceError."""
        try:
            return await self._worker.call(lambda: self._in_session(work, anew), limit_ms)
        except OSError as error:
            if error.errno != errno.ETIMEDOUT:
                raise
            raise DeviceError(E_TIMEOUT, self.kind, "no answer from %s in %d ms" % (self._path, limit_ms), cause="no_answer") from None

    def _in_session(self, work: "Callable[[pkcs11.Session], T]", anew: bool) -> "T":
        module = _module(self._path)
        if not module.lock.acquire(timeout=_TURN_S):
            raise DeviceError(E_TIMEOUT, self.kind, self._path + " is still in an earlier call", cause="no_answer")
        try:
            if self._session is not None and self._restarts == module.restarts:
                try:
                    if not anew:
                        return work(self._session)
                except PKCS11Error:
                    pass  # counts if a new session says it too
                _close(self._session)
            self._session = None
            self._session = self._logged_in(module.token(self._label))
            self._restarts = module.restarts
            return work(self._session)
        except PKCS11Error as error:
            raise _told(error) from None
        finally:
            module.lock.release()

    def _logged_in(self, token: "pkcs11.Token") -> "pkcs11.Session":
        """A session of the token. Raises PKCS11Error, DeviceError wrong_pin, no_permission, locked."""
        self.in_hardware = bool(token.slot.flags & SlotFlag.HW_SLOT)
        _require_unlocked(token.flags)
        pin = self._pin.read()
        self._pin.require_untried(token.flags)
        try:
            session = token.open(rw=True, user_pin=pin)
        except UserAlreadyLoggedIn:  # a login is the whole process's
            return token.open(rw=True)
        except _WRONG_PIN as error:
            self._pin.note_refused()
            detail = "the token refuses the PIN in %s (%s)" % (self._pin.path, type(error).__name__)
            raise DeviceError(E_FAILURE, self.kind, detail, cause="wrong_pin") from None
        self._pin.note_accepted()
        return session

    def _generated(self, session: "pkcs11.Session", slot: int) -> bytes:
        old = _objects(session, slot)
        generation = int.from_bytes(max(old)[1:4], "big") + 1 if old else 1
        key_id = bytes((slot,)) + generation.to_bytes(3, "big") + os.urandom(4)
        parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
        public, private = parameters.generate_keypair(
            id=key_id,
            label=_name(slot),
            store=True,
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )
        try:
            point = _point(public)
            if key_id not in _whole(_objects(session, slot)):
                raise DeviceError(E_FAILURE, self.kind, "the new key is not found again", cause="check_failed")
            if not self._signs(private, point):
                raise DeviceError(E_FAILURE, self.kind, "the new key signs wrong", cause="signature_wrong")
        except (PKCS11Error, DeviceError):
            _remove({key_id: [public, private]})  # or it would count, though the caller is told that it does not
            raise
        _remove(old)
        return point

    def _checked(self, session: "pkcs11.Session") -> Health:
        flags = session.token.slot.get_token().flags  # raises when the token is gone
        if flags & TokenFlag.ERROR_STATE:
            return Health(HEALTH_FAIL, self.kind, "self_test_failed", E_FAILURE, detail="the token's own self-test has failed")
        _require_unlocked(flags)
        self._pin.read()
        if _random(session, 16) == _random(session, 16):
            return Health(HEALTH_FAIL, self.kind, "random_stuck", E_FAILURE, detail="the random numbers repeat")
        keys = 0
        for slot in range(SLOTS):
            objects = _objects(session, slot)
            for key_id in _whole(objects)[-1:]:
                keys += 1
                public, private = objects[key_id]
                if not self._signs(private, _point(public)):
                    return Health(HEALTH_FAIL, self.kind, "signature_wrong", E_FAILURE, detail="the key in slot %d signs wrong" % slot)
        return Health(HEALTH_SUCCESS, self.kind, measurements={"keys": keys})

    def _signs(self, private: "Any", point: bytes) -> bool:
        return self._curve.verify(point, _TEST_DIGEST, _signature(private, _TEST_DIGEST))

    def _require_slot(self, slot: int) -> None:
        self.require_enabled()
        if not 0 <= slot < SLOTS:
            raise DeviceError(E_ILLEGAL, self.kind, "slot %d is not 0..%d" % (slot, SLOTS - 1))


class _Module:
    """A maker's library in this process: started once for all that use it, and called by one thread at a time, which is what starting it
    without arguments (C_Initialize) promises. restarts: sessions from before the last one are gone, and their numbers are given anew.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.restarts = 0

    def token(self, label: str) -> "pkcs11.Token":
        """Raises NoSuchToken, MultipleTokensReturned; DeviceError service_down, no_permission."""
        library = self._library()
        try:
            return self._look(library, label)
        except PKCS11Error:  # there are modules that look for tokens only when they start
            self.restarts += 1
            try:
                library.reinitialize()
            except PKCS11Error as error:
                raise self._down(type(error).__name__) from None
            return self._look(library, label)

    def _library(self) -> "Any":
        """The library, started."""
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
            return pkcs11.lib(self.path)
        except PermissionError:
            raise DeviceError(E_FAILURE, _KIND, self.path + " may not be read", cause="no_permission") from None
        except OSError as error:
            raise self._down("errno %s" % error.errno) from None
        except PKCS11Error as error:
            raise self._down(str(error) or type(error).__name__) from None

    def _look(self, library: "Any", label: str) -> "pkcs11.Token":
        found: list[pkcs11.Token] = []
        for slot in library.get_slots(token_present=True):
            try:
                token = slot.get_token()
            except PKCS11Error:  # another reader's trouble; the token that is missed is looked for by a new start
                continue
            if token.label == label:
                found.append(token)
        if not found:
            raise NoSuchToken("no token is labelled " + label)
        if len(found) > 1:
            raise MultipleTokensReturned("%d tokens are labelled %s" % (len(found), label))
        return found[0]

    def _down(self, why: str) -> DeviceError:
        return DeviceError(E_NOSERVICE, _KIND, "%s does not start: %s" % (self.path, why), cause="service_down")


_modules: "dict[str, _Module]" = {}


def _module(path: str) -> _Module:
    """One for each file, by whatever path: a library that was loaded once is not loaded anew under its other name."""
    real = os.path.realpath(path)
    return _modules.setdefault(real, _Module(real))


class _Pin:
    """The file with the token's PIN, and whether the token has refused what is in it.

    A file is known by inode, time of change and size: nothing of the PIN is kept elsewhere.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._note = path + ".refused"
        self._refused = ""  # as the note, which cannot be written in every folder
        self._read = ""  # the file that was read last

    def read(self) -> str:
        """The first line. Raises DeviceError no_permission, wrong_pin: there is none."""
        try:
            with open_private(self.path, _KIND) as file:
                status = os.fstat(file.fileno())
                content = file.read(_PIN_LIMIT)
        except OSError as error:
            raise DeviceError(E_FAILURE, _KIND, "no PIN in %s (errno %s)" % (self.path, error.errno), cause="wrong_pin") from None
        self._read = "%d %d %d" % (status.st_ino, status.st_mtime_ns, status.st_size)
        try:
            pin = content.split(b"\n")[0].rstrip(b"\r").decode()
        except UnicodeDecodeError:  # PINs are UTF-8
            pin = ""
        if not pin:
            raise DeviceError(E_FAILURE, _KIND, "no PIN in the first line of " + self.path, cause="wrong_pin")
        return pin

    def require_untried(self, flags: int) -> None:
        """Raises DeviceError wrong_pin where the PIN is known to be wrong, or another try might be the last that the token grants."""
        if self._read in (self._refused, self._noted()):
            why = "the token has refused the PIN in %s: not tried again until the file changes" % self.path
        elif flags & TokenFlag.USER_PIN_FINAL_TRY:
            why = "the token has one try left: log in by hand with the right PIN"
        elif flags & TokenFlag.USER_PIN_COUNT_LOW and not self._refused and not os.access(os.path.dirname(self._note) or ".", os.W_OK):
            why = "a PIN was refused, perhaps the one in %s: log in by hand with the right one" % self.path  # no note could tell
        else:
            return
        raise DeviceError(E_FAILURE, _KIND, why, cause="wrong_pin")

    def note_refused(self) -> None:
        self._refused = self._read
        try:
            with open(os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(self._read.encode())
                sync(file)
        except OSError:  # require_untried knows of folders that take no note
            return

    def note_accepted(self) -> None:
        self._refused = ""
        try:
            os.unlink(self._note)
        except OSError:  # there is none, as a rule; one that stays names a file that is no longer there
            return

    def _noted(self) -> str:
        try:
            with open(self._note, "rb") as file:
                return file.read(_PIN_LIMIT).decode("ascii", "replace")
        except OSError:
            return ""


def _require_unlocked(flags: int) -> None:
    """Raises DeviceError locked, wrong_pin: the token has none yet."""
    if flags & TokenFlag.USER_PIN_LOCKED:
        raise DeviceError(E_FAILURE, _KIND, "the token has locked its PIN after wrong ones", cause="locked")
    if not flags & TokenFlag.USER_PIN_INITIALIZED:
        raise DeviceError(E_FAILURE, _KIND, "the token was not given a PIN yet", cause="wrong_pin")


def _told(error: PKCS11Error) -> DeviceError:
    """What the module says, as a driver says it."""
    name = type(error).__name__
    for kinds, code, cause in _ERRORS:
        if isinstance(error, kinds):
            return DeviceError(code, _KIND, str(error) or "the token says " + name, cause=cause)
    return DeviceError(E_FAILURE, _KIND, str(error) or "the token says " + name, cause="check_failed")


def _close(session: "pkcs11.Session") -> None:
    try:
        session.close()
    except PKCS11Error:  # its token is gone, and the session with it
        return


# Keys and their objects.


def _name(slot: int) -> str:
    return "reinstate.%d" % slot


def _objects(session: "pkcs11.Session", slot: int) -> "dict[bytes, list[Any]]":
    """By CKA_ID, oldest first, the halves of the slot's keys: public, where it is there, and private."""
    found: dict[bytes, list[Any]] = {}
    finished = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: _name(slot), Attribute.LOCAL: True}
    for private in list(session.get_objects(finished)):
        key_id: bytes = private[Attribute.ID]
        if len(key_id) == _ID_LENGTH and key_id[0] == slot:
            found[key_id] = [*session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key_id}), private]
    return {key_id: found[key_id] for key_id in sorted(found)}


def _whole(objects: "dict[bytes, list[Any]]") -> "list[bytes]":
    """The ids of which there are both halves, oldest first."""
    return [key_id for key_id, halves in objects.items() if len(halves) == 2]


def _key(session: "pkcs11.Session", slot: int) -> "tuple[Any, Any]":
    """(public, private) of the key that counts. Raises NoSuchKey."""
    objects = _objects(session, slot)
    whole = _whole(objects)
    if not whole:
        raise NoSuchKey("slot %d is empty" % slot)
    public, private = objects[whole[-1]]
    return public, private


def _remove(objects: "dict[bytes, list[Any]]") -> None:
    for halves in objects.values():
        for half in halves:
            half.destroy()


def _tidy(session: "pkcs11.Session") -> None:
    for slot in range(SLOTS):
        objects = _objects(session, slot)
        whole = _whole(objects)
        if whole:
            _remove({key_id: halves for key_id, halves in objects.items() if key_id < whole[-1]})


def _point(public: "Any") -> bytes:
    """x || y of a public key object. Raises DeviceError key_damaged: it is no point of P-256."""
    value: bytes = public[Attribute.EC_POINT]
    if len(value) == 67 and value.startswith(_OCTETS):  # 2.3.3; there are modules that leave this wrapping out
        value = value[2:]
    if len(value) != 65 or not value.startswith(_POINT):
        raise DeviceError(E_FAILURE, _KIND, "%s is no key on P-256" % public.label, cause="key_damaged")
    return value[1:]


def _signature(private: "Any", digest: bytes) -> bytes:
    """CKM_ECDSA of a digest: r || s, each as long as the order of the curve (2.3.1)."""
    signature: bytes = private.sign(bytes(digest), mechanism=Mechanism.ECDSA)
    if len(signature) != 64:
        raise DeviceError(E_FAILURE, _KIND, "a signature of %d bytes" % len(signature), cause="signature_wrong")
    return signature


def _random(session: "pkcs11.Session", length: int) -> bytes:
    return session.generate_random(8 * length) if length else b""  # in bits; none of none
