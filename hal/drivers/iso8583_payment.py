"""Driver: a payment application that speaks ISO 8583 over TCP to the acquirer's host, one connection for each exchange.

It signs in, asks for an echo, and makes test sales: it has no keys for PINs and MACs, so the working keys in the answer to a sign-in are
passed over, and it takes no cards. Its sales carry no card and the header's terminal status 1 (test), so they cannot be booked as
anybody's; each is reversed whatever its answer was, and until the host confirms that it stands in the journal.

What takes real payments is another program on the terminal. What the host answers it, it tells by lines in a file that only it writes
(docs/payment.md).
"""

import asyncio
import errno

from hal.compat import close_stream
from hal.device import HEALTH_NOT_RUN, HEALTH_SUCCESS, Device, Health
from hal.drivers.iso8583 import MOST_BYTES, TPDU, Iso8583Error, Message, decode, encode
from hal.drivers.payment_journal import Journal
from hal.errors import CH_INTERNAL, E_FAILURE, E_ILLEGAL, E_NOEXIST, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.payment import CONTRACT, ECHO, REVERSAL, SALE, SIGN_IN, Answer, Totals, Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hal.clock import Clock
    from hal.drivers.payment_journal import Begun
    from hal.network import Network
    from hal.storage import Storage

    Fields = dict[int, "str | bytes"]

HEARD = "payment.heard"  # file on the storage; a line of it: what was asked, code, sub-code or -, requirement, card (hal.payment.Answer)
TEST_AMOUNT = 1  # in minor units
CURRENCY = "156"  # yuan (ISO 4217)
FIRST_BATCH = "000001"  # until the host names one
NO_ORIGINAL = "25"  # of a reversal: the host has no such sale, so there is nothing to take back
ECHO_MS = 10000

# Field 60: message type, batch, network management code.
_MANAGEMENT, _PURCHASE = "00", "22"
_SIGN_IN_CODE, _ECHO_CODE, _NO_CODE = "003", "301", "000"  # 003: working keys of double length
_NO_ANSWER_REASON = "98"  # why a reversal is sent, in its field 39
_RESOLVE_MS = 5000
_DAY_MS = 24 * 60 * 60 * 1000
_HEARD_BYTES = 512  # of the file are read at a time
_NOT_CONNECTED = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ECONNABORTED)
_SALE_FIELDS: "Fields" = {3: "000000", 4: "%012d" % TEST_AMOUNT, 22: "000", 25: "00", 49: CURRENCY}


class Iso8583Payment(Device):
    """storage: enabled before use; resolver: what resolves host names, None where the runtime does; tpdu: as the acquirer gave it."""

    kind = CONTRACT.kind
    part = "iso8583_payment"
    level = 1

    def __init__(self, clock: "Clock", storage: "Storage", resolver: "Network | None" = None, tpdu: str = TPDU) -> None:
        super().__init__()
        self._clock = clock
        self._storage = storage
        self._resolver = resolver
        self._tpdu = tpdu
        self._address = ("", 0)
        self._merchant = ""
        self._terminal = ""
        self._batch = FIRST_BATCH
        self._kept: Journal | None = None
        self._under_way = ""  # trace of the test sale that is being made
        self._lock = asyncio.Lock()  # one exchange after the other
        self._totals: tuple[int, Totals] | None = None  # when they were told, and what
        self._sent = False  # something of the exchange under way may have reached the host
        self._heard_to = -1  # place in the file up to which it is known; -1: nobody has looked yet

    # The contract.

    def configure(self, host: str, port: int, merchant: str, terminal: str) -> None:
        self._address = (host, port)
        self._merchant = merchant
        self._terminal = terminal

    @property
    def is_configured(self) -> bool:
        return bool(self._address[0] and self._address[1] and self._merchant and self._terminal)

    async def sign_in(self, timeout_ms: int) -> Answer:
        """The host's batch is used from then on."""
        message = await self._manage(SIGN_IN, _SIGN_IN_CODE, timeout_ms)
        answer = _answer(SIGN_IN, message)
        if answer.approved and len(message.text(60)) >= 8:
            self._batch = message.text(60)[2:8]
        return answer

    async def echo(self, timeout_ms: int) -> Answer:
        return _answer(ECHO, await self._manage(ECHO, _ECHO_CODE, timeout_ms))

    async def test_sale(self, timeout_ms: int) -> Answer:
        """The answer to the sale, which is reversed. Raises what there was instead of that answer, once the reversal was tried."""
        self._require_configured()
        journal = self._journal()
        try:
            begun = journal.begin(self._batch, TEST_AMOUNT, self._clock.wall_s())
        except DeviceError as error:
            raise self._not_kept(error)
        failure: DeviceError | None = None
        answer = Answer(SALE, "")
        self._under_way = begun.trace
        try:
            try:
                fields = dict(_SALE_FIELDS)
                fields[60] = _PURCHASE + begun.batch + _NO_CODE
                answer = _answer(SALE, await self._exchange(SALE, begun.trace, fields, timeout_ms))
            except DeviceError as error:
                failure = error
                if not self._sent:
                    self._end(begun.trace)
                    raise
            try:
                answer.settled = (await self._reverse(begun, timeout_ms)).settled
            except DeviceError:
                pass  # it stays unfinished
        finally:
            self._under_way = ""
        if failure is not None:
            raise failure
        return answer

    def unfinished(self) -> "list[Unfinished]":
        """Raises DeviceError, cause 'payment_journal': it cannot be read."""
        begun = [each for each in self._journal().unfinished() if each.trace != self._under_way]
        return [Unfinished(each.trace, each.amount, each.since) for each in begun]

    async def settle(self, reference: str, timeout_ms: int) -> Answer:
        for begun in self._journal().unfinished():
            if begun.trace == reference:
                return await self._reverse(begun, timeout_ms)
        raise DeviceError(E_NOEXIST, self.kind, "nothing unfinished of that reference")

    def totals(self) -> "Totals | None":
        if self._totals is None or self._clock.monotonic_ms() - self._totals[0] >= _DAY_MS:
            return None
        return self._totals[1]

    def heard(self) -> "list[Answer]":
        """From the first call on: what was told before is not known to be still true."""
        begins = self._heard_to
        try:
            size = self._storage.size(HEARD)
        except DeviceError as error:
            if error.code != E_NOEXIST:
                return []  # later; a storage that does not answer is the self-test's to find
            size = 0
        if begins < 0 or size == begins:
            self._heard_to = size
            return []
        if size < begins:
            self._heard_to = begins = 0  # it was begun anew
        try:
            told = self._storage.read(HEARD, begins, _HEARD_BYTES)
        except DeviceError:
            return []
        whole = told.rfind(b"\n") + 1
        if not whole and len(told) == _HEARD_BYTES:
            whole = len(told)  # no line is that long
        self._heard_to = begins + whole
        answers = [_told(line) for line in told[:whole].split(b"\n")]
        return [answer for answer in answers if answer is not None]

    # Life cycle.

    async def _bring_up(self) -> None:
        """Nothing to do: the journal says whether it can be read when it is used, and the host when it is asked."""

    async def _check_health(self, level: int) -> Health:
        if not self.is_configured:
            return Health(HEALTH_NOT_RUN, self.kind, "not_configured", detail="no payment host is configured")
        measurements = {"unfinished": len(self.unfinished())}
        if level > CH_INTERNAL:
            begun_ms = self._clock.monotonic_ms()
            await self.echo(ECHO_MS)
            measurements["answer_ms"] = self._clock.monotonic_ms() - begun_ms
        return Health(HEALTH_SUCCESS, self.kind, measurements=measurements)

    # What is kept.

    def _journal(self) -> Journal:
        if self._kept is None:
            try:
                self._kept = Journal(self._storage)
            except DeviceError as error:
                raise self._not_kept(error)
        return self._kept

    def _not_kept(self, error: DeviceError) -> DeviceError:
        return DeviceError(E_FAILURE, self.kind, error.detail, cause="payment_journal")

    def _end(self, trace: str) -> None:
        """What the journal does not take is settled once more, which a host answers as the first time."""
        try:
            self._journal().end(trace)
        except DeviceError:
            pass

    # Messages.

    async def _manage(self, mti: str, code: str, timeout_ms: int) -> Message:
        self._require_configured()
        return await self._exchange(mti, self._journal().next_trace(), {60: _MANAGEMENT + self._batch + code}, timeout_ms)

    async def _reverse(self, begun: "Begun", timeout_ms: int) -> Answer:
        """By the trace number of the sale. The answer, settled where the sale is no more."""
        fields = dict(_SALE_FIELDS)
        fields[4] = "%012d" % begun.amount
        fields[39] = _NO_ANSWER_REASON
        fields[60] = _PURCHASE + begun.batch + _NO_CODE
        answer = _answer(REVERSAL, await self._exchange(REVERSAL, begun.trace, fields, timeout_ms))
        answer.settled = answer.approved or answer.code == NO_ORIGINAL
        if answer.settled:
            self._end(begun.trace)
        return answer

    async def _exchange(self, mti: str, trace: str, fields: "Fields", timeout_ms: int) -> Message:
        """One message and its answer. Raises DeviceError; `_sent` tells whether the host may have had it."""
        self._require_configured()
        asked = dict(fields)
        asked[11], asked[41], asked[42] = trace, self._terminal, self._merchant
        try:
            request = encode(Message(mti, asked, is_test=mti in (SALE, REVERSAL), tpdu=self._tpdu))
        except Iso8583Error as error:
            raise DeviceError(E_ILLEGAL, self.kind, str(error), cause="not_configured")
        await self._lock.acquire()
        try:
            self._sent = False
            message = await self._clock.wait_for(self._talk(request), timeout_ms)
        except Iso8583Error as error:
            raise DeviceError(E_FAILURE, self.kind, str(error), cause="payment_garbled")
        except (OSError, EOFError) as error:
            if not self._sent:
                raise DeviceError(E_OFFLINE, self.kind, "the payment host is not reached: %s" % error, cause="payment_unreachable")
            raise DeviceError(E_TIMEOUT, self.kind, "no answer to %s" % mti, cause="payment_silent")
        finally:
            self._lock.release()
        if message.mti != "%04d" % (int(mti) + 10) or message.text(11) != trace or len(message.text(39)) != 2:
            raise DeviceError(E_FAILURE, self.kind, "the answer is to something else", cause="payment_garbled")
        if message.text(48):
            self._totals = (self._clock.monotonic_ms(), _totals(message.text(48)))
        return message

    async def _talk(self, request: bytes) -> Message:
        """Raises OSError, EOFError, Iso8583Error, and DeviceError of the network."""
        host, port = self._address
        if self._resolver is not None:
            host = await self._resolver.resolve(host, _RESOLVE_MS)
        reader, writer = await asyncio.open_connection(host, port)
        try:
            self._sent = True
            try:
                writer.write(len(request).to_bytes(2, "big") + request)
                await writer.drain()
            except OSError as error:
                if error.errno in _NOT_CONNECTED:  # on a microcontroller the first write tells that there is no connection
                    self._sent = False
                raise
            length = int.from_bytes(await reader.readexactly(2), "big")
            if length > MOST_BYTES:
                raise Iso8583Error("%d bytes" % length)
            return decode(await reader.readexactly(length))
        finally:
            close_stream(writer)

    def _require_configured(self) -> None:
        self.require_enabled()
        if not self.is_configured:
            raise DeviceError(E_ILLEGAL, self.kind, "no payment host is configured", cause="not_configured")


def _answer(asked: str, message: Message) -> Answer:
    """Field 44, where the host sends it, begins with the acquirer's own code of four characters."""
    return Answer(asked, message.text(39), message.text(44)[:4].strip(), message.requirement)


def _told(line: bytes) -> "Answer | None":
    """Of a line in the file HEARD; None for one that says nothing."""
    try:
        asked, code, sub_code, requirement, card = str(line, "ascii").split()
        return Answer(asked, code, "" if sub_code == "-" else sub_code, int(requirement), int(card)) if asked in (SIGN_IN, SALE) else None
    except ValueError:  # UnicodeError is one, too
        return None


def _totals(told: str) -> Totals:
    """Field 48 of an answer, where the host sends it: largest payment n12, sum n12, changes of the settlement card n2; what is missing is
    0.
    """
    padded = told + "0" * 26
    return Totals(int(padded[:12]), int(padded[12:24]), int(padded[24:26]))
