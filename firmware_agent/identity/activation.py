"""Enrolment over the network: a terminal that nobody owns yet asks for its name with a code that a person types; and one that has a name,
for a new identity under it, where the present one has ended or is not to be used any more.

What it knows is from the factory: whom to ask, whose answers to believe, and a certificate for TLS that says which device this is (an
IDevID as IEEE 802.1AR has it). That record stays for as long as the terminal lives, so that it can always ask again. Until the answer is
here nothing has changed, an identity that is there is the one in use; then all that changes is one write.
"""

import asyncio

from firmware_agent.identity.certificate import issued_s
from firmware_agent.identity.enrolment import SLOT, Credentials, EnrolmentError, take, waiting_request
from firmware_agent.identity.identity import KEY_REPLACEMENT, Identity
from firmware_agent.identity.registration import KEY_PENDING, spare_slot
from firmware_agent.identity.tries import KEY_ACTIVATION, Tries
from firmware_agent.links.access import joined
from firmware_agent.links.link import CAUSE_DATE, LinkError
from firmware_agent.messages.cbor import decode, encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.inbound import Judge
from firmware_agent.messages.outbox import KEY_BOOT_COUNT, SEQUENCES
from firmware_agent.messages.schema import Claims, kind_named, topic
from firmware_agent.messages.sealed import SealError, seal
from firmware_agent.messages.timekeeper import STEP_S, STEPS
from firmware_agent.store import StoreError
from firmware_agent.terminal import KEY_HIGHEST, KEY_SUPPOSED, KEY_WALL
from hal.clock import TRUST_NONE, TRUST_SET
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.links.link import Link, Message
    from firmware_agent.store import Store
    from hal.hal import Hal

CODE_DIGITS = 12  # the last of them is the check digit
# Damm's quasigroup of order 10 (H. M. Damm, 2004): finds each single wrong digit, and each two neighbours that are swapped.
_DAMM = "0317598642709215486342068713591750983426612304597836742095815869720134894536201794386172052581436790"

NETWORK_TIMEOUT_MS = 15000
NETWORK_LOOK_MS = 250
CONNECT_TIMEOUT_MS = 15000
LINK_TIMEOUT_MS = 10000
ANSWER_TIMEOUT_MS = 30000  # the acquirer issues two certificates

# Refusals for a time that nobody has signed. What answers the activation that was made last is let in all the same, by its number and the
# keys in it, and tells the time: a battery-backed clock may be years ahead.
UNSURE = ("time_unknown", "expired", "from_the_future")

# Why it came to nothing: by the acquirer's word, in a signed status ...
REFUSALS = ("wrong_code", "expired", "used", "too_many_tries", "not_possible")
# ... and without it.
FAILURES = ("mistyped", "no_network", "no_connection", "no_answer", "bad_answer")


class ActivationError(Exception):
    """It came to nothing. code: of REFUSALS or FAILURES; detail: for the log, never the code that was typed."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code + (": " + detail if detail else ""))
        self.code = code


def check_digit(digits: str) -> str:
    """The digit that makes a code of these digits, '0'..'9'."""
    interim = 0
    for digit in digits:
        interim = int(_DAMM[10 * interim + int(digit)])
    return str(interim)


def is_code(digits: str) -> bool:
    """Whether a person has typed a code without a slip."""
    return len(digits) == CODE_DIGITS and all(digit in "0123456789" for digit in digits) and check_digit(digits) == "0"


class Activation:
    """hal: brought up; store: open; factory: its record of KEY_FACTORY; make_link: a Link by such a record, with the broker's address
    looked up, or raises LinkError; log: takes one line for a technician; present: the identity that there is.
    """

    def __init__(
        self,
        hal: "Hal",
        store: "Store",
        factory: Identity,
        make_link: "Callable[[Identity], Awaitable[Link]]",
        log: "Callable[[str], None]",
        present: "Identity | None" = None,
    ) -> None:
        boots = store.get(KEY_BOOT_COUNT)
        self._boot_count = int(decode(boots)) if boots is not None else 0
        self.factory = factory
        self.tries = Tries(store, KEY_ACTIVATION, hal.clock, self._boot_count)
        self._hal = hal
        self._store = store
        self._make_link = make_link
        self._log = log
        self._present = present
        self._slot = SLOT if present is None else spare_slot(present)
        if present is None and store.get(KEY_SUPPOSED) is not None:
            hal.clock.distrust()
        self._asked = 0  # number in this boot of what was asked last
        self._judge = Judge(hal.secure_element, factory.acquirer, factory.terminal, factory.acquirer_keys)
        self._answers_on = [topic(factory.acquirer, factory.terminal, leaf) for leaf in ("status", "credentials")]
        self._answered = asyncio.Event()
        self._outcome: Identity | Exception | None = None

    async def ask(self, code: str) -> Identity:
        """Ask the acquirer, once, and take its answer: the identity that is written when this returns. From the moment on at which the
        acquirer may have seen the code it is a failed try, until the answer says otherwise: cutting the power gains nothing.

        Raises ActivationError; DeviceError, StoreError.
        """
        if not is_code(code):
            raise ActivationError("mistyped")
        if self.tries.wait_ms():
            raise ActivationError("too_many_tries")
        await self._wait_for_network()
        where, message = await self._message(code)
        try:
            await self._exchange_at_some_time(where, message)
        except LinkError as error:
            raise ActivationError("no_connection", str(error))
        outcome = self._outcome
        if isinstance(outcome, Identity):
            return outcome
        raise outcome or ActivationError("no_answer")

    async def _wait_for_network(self) -> None:
        """Whoever keeps house joins it. Raises ActivationError."""
        clock = self._hal.clock
        until_ms = clock.monotonic_ms() + NETWORK_TIMEOUT_MS
        while not joined(self._hal):
            if clock.monotonic_ms() >= until_ms:
                raise ActivationError("no_network")
            await clock.sleep_ms(NETWORK_LOOK_MS)

    async def _message(self, code: str) -> "tuple[str, bytes]":
        """(topic, message), signed by the key that a certificate is asked for."""
        hal = self._hal
        element = hal.secure_element
        name = self.factory.terminal
        where = topic(self.factory.acquirer, name, "activation")
        if self._present is not None and self._store.get(KEY_PENDING) is not None:
            self._store.put_all([(KEY_PENDING, None)])  # given up before its key goes, which lies in the same slot
        request = await waiting_request(hal, self._store, self._slot)
        try:
            sealed = await seal(element, self.factory.sealing_key, code.encode(), where)
        except SealError as error:
            raise ActivationError("not_possible", str(error))
        # Grows with whatever was asked in this boot before, by an object that nobody knows of any more, too.
        self._asked = max(self._asked + 1, hal.clock.monotonic_ms() // 1000)
        body: dict[str, object] = {
            "board": hal.board,
            "request": request.request,
            "transport_key": request.transport_key,
            "sealed": sealed,
            "element": hal.secure_element.in_hardware,
        }
        if self._present is not None:
            body["former"] = key_id(await element.public_key(self._present.slot))
        claims = Claims(kind_named("activation"), name, self._number(), body, issued_at=self._wall_s(), boot_count=self._boot_count)
        kid = key_id(await element.public_key(self._slot))
        return where, await sign(element, self._slot, kid, encode(claims.to_map()), where)

    def _number(self) -> int:
        """The sequence of the activation that was made last, which its answer names."""
        return self._boot_count * SEQUENCES + self._asked

    def _wall_s(self) -> int:
        clock = self._hal.clock
        return 0 if clock.trust == TRUST_NONE else clock.wall_s()

    async def _exchange_at_some_time(self, where: str, message: bytes) -> None:
        """By the clock; while that lets no connection in for a date, and nobody has signed the time, as if it were the day on which the
        factory's certificate was made, and month by month from there: at one of them the broker's certificate is valid (timekeeper.py).
        Raises as `_exchange`.
        """
        clock = self._hal.clock
        made_s = issued_s(self.factory.transport_certificate)
        times = [made_s + step * STEP_S for step in range(STEPS)] if made_s else []
        if clock.trust == TRUST_SET or not made_s:
            times.insert(0, 0)  # the time of day
        for at_s in times:
            if clock.suppose(at_s) and self._store.get(KEY_SUPPOSED) is None:
                self._store.keep([(KEY_SUPPOSED, encode(True))])
            try:
                return await self._exchange(await self._make_link(self.factory), where, message)
            except LinkError as error:
                if error.cause != CAUSE_DATE or clock.is_signed or at_s == times[-1]:
                    clock.suppose(0)
                    raise

    async def _exchange(self, link: "Link", where: str, message: bytes) -> None:
        """Send it, and wait until an answer has been taken, or its time is over. Raises LinkError before it was sent, StoreError."""
        self._outcome = None
        self._answered.clear()
        receiver = None
        try:
            await link.connect(CONNECT_TIMEOUT_MS)
            receiver = asyncio.create_task(self._receive(link))
            for answers_on in self._answers_on:
                await link.subscribe(answers_on, LINK_TIMEOUT_MS)
            self._store.put_all([self.tries.failed(self.tries.failures + 1)])
            try:
                await link.publish(where, message, False, LINK_TIMEOUT_MS)
                await self._hal.clock.wait_for(self._answered.wait(), ANSWER_TIMEOUT_MS)
            except (LinkError, OSError) as error:  # it may have been sent all the same
                self._log("activation: %s" % (error if isinstance(error, LinkError) else "no answer in time"))
        finally:
            if receiver is not None:
                receiver.cancel()
            await link.disconnect()
        if self._outcome is None and receiver is not None:
            # The delay counts from the answer that did not come.
            self._store.put_all([self.tries.failed(self.tries.failures)])

    async def _receive(self, link: "Link") -> None:
        """Until an answer was taken, or the link is lost. The broker is told when what the answer did is written."""
        try:
            while self._outcome is None:
                message = await link.receive()
                await self._take(message)
                await link.acknowledge(message)
        except LinkError:
            pass  # what waits for the answer finds that there is none
        except (ActivationError, DeviceError, StoreError) as error:
            self._outcome = error
        self._answered.set()

    async def _take(self, message: "Message") -> None:
        """Raises ActivationError: the acquirer has refused. What is no answer to the activation that was made last is passed over."""
        clock = self._hal.clock
        if message.topic not in self._answers_on:
            self._log("ignored a message on %s" % message.topic)  # never subscribed to: a broker's slip
            return
        verdict = await self._judge.judge(message.topic, message.payload, 0, clock.wall_s(), clock.trust)
        claims = verdict.claims
        is_unsure = verdict.refusal in UNSURE and not clock.is_signed
        if claims is None or (verdict.refusal and not is_unsure):
            self._log("refused: %s on %s" % (verdict.refusal, message.topic))
            return
        if claims.number("application") != self._number():
            self._log("ignored an answer to activation %d" % claims.number("application"))
            return
        if claims.kind.name == "status":
            self._store.put_all([self.tries.failed(self.tries.failures)])  # the delay counts from the answer
            code = claims.text("status")
            raise ActivationError(code if code in REFUSALS else "not_possible", "by the acquirer")
        further: list[tuple[str, bytes | None]] = [
            self.tries.forgotten(),
            (KEY_REPLACEMENT, None),
            (KEY_PENDING, None),
            (KEY_SUPPOSED, None),
            (KEY_HIGHEST, encode(claims.sequence)),
            (KEY_WALL, encode(claims.issued_at)),
        ]
        try:
            credentials = Credentials.decoded(claims.octets("grant"))
            credentials.certificate = claims.octets("certificate")
            credentials.transport_certificate = claims.octets("transport_certificate")
            if credentials.acquirer != self.factory.acquirer:
                raise EnrolmentError("they are of another acquirer")
            self._outcome = await take(self._hal, self._store, credentials, further, self._present)
        except EnrolmentError as error:
            raise ActivationError("bad_answer", str(error))
        clock.set_wall(claims.issued_at, True)
