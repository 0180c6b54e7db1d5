"""The way from the terminal to its acquirer, walked layer by layer for a self-test: radio, address, name, TCP, TLS, broker, acquirer."""

import asyncio

from firmware_agent.links.access import JOIN_TIMEOUT_MS, address_of, joined
from firmware_agent.links.link import (
    CAUSE_AUTHORITY,
    CAUSE_BROKER,
    CAUSE_DATE,
    CAUSE_NAME,
    CAUSE_REFUSED,
    CAUSE_TLS,
    CAUSE_UNREACHABLE,
    LinkError,
)
from hal.clock import TRUST_SET
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS, Health
from hal.errors import CH_INTERNAL, E_FAILURE, E_NOEXIST, E_OFFLINE, E_TIMEOUT, DeviceError
from hal.network import CONTRACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firmware_agent.messages.courier import Courier
    from firmware_agent.terminal import Terminal

KIND = CONTRACT.kind
WALK_MS = 30000  # for all of it
INQUIRIES = 5  # one in four segments lost shows in two of them or more
ANSWER_MS = 6000  # for one inquiry; a line of 1.5 s each way takes 3 s, and one segment sent again 1 s more
LATE_MS = 800  # behind the quickest: a segment was sent again, which TCP does not do before 1 s (RFC 6298)
QUIET_MS = 4000  # for what is queued to leave before the next inquiry, so that it does not wait behind that
LOOK_MS = 20
NONCE_BYTES = 8

# Code and cause of a LinkError -> UnifiedPOS number, and the cause as a self-test names it. Of a date see _failed.
_FAILURES = {
    ("E_RESOLVE", ""): (E_NOEXIST, "dns_failed"),
    ("E_OFFLINE", CAUSE_UNREACHABLE): (E_OFFLINE, "host_unreachable"),
    ("E_OFFLINE", CAUSE_REFUSED): (E_OFFLINE, "port_closed"),
    ("E_OFFLINE", CAUSE_TLS): (E_OFFLINE, "tls_failed"),
    ("E_TIMEOUT", CAUSE_TLS): (E_TIMEOUT, "tls_failed"),
    ("E_TLS", ""): (E_FAILURE, "tls_failed"),
    ("E_TLS", CAUSE_NAME): (E_FAILURE, "tls_name"),
    ("E_TLS", CAUSE_AUTHORITY): (E_FAILURE, "tls_authority"),
    ("E_TLS", CAUSE_DATE): (E_FAILURE, "certificate_expired"),
    ("E_OFFLINE", CAUSE_BROKER): (E_OFFLINE, "broker_refused"),
    ("E_REFUSED", ""): (E_FAILURE, "broker_refused"),
    ("E_TIMEOUT", CAUSE_BROKER): (E_TIMEOUT, "broker_silent"),
    ("E_PROTOCOL", ""): (E_FAILURE, "garbled_answer"),
    ("E_TIMEOUT", ""): (E_TIMEOUT, "slow"),  # everybody answered, and the time was over all the same
    ("E_OFFLINE", ""): (E_OFFLINE, "lossy"),  # it was made, and lost again
}


class Path:
    """courier: whose connection is walked. There is one to a terminal: the broker ends the first when a second one comes.

    asked: the nonce of the last question of this start, which its answer has to carry; b'' before the first.
    """

    def __init__(self, terminal: "Terminal", courier: "Courier") -> None:
        self._terminal = terminal
        self._courier = courier
        self.asked = b""
        self._question = asyncio.Lock()  # one at a time, for the acquirer answers only the latest
        self._answers_ms: list[int] = []  # when the answer to the question that is out arrived

    def answered(self, nonce: bytes, at_ms: int) -> None:
        """The acquirer's answer was accepted. at_ms: when it arrived, by the monotonic clock. Nobody may wait for it any more."""
        if nonce == self.asked:
            self._answers_ms.append(at_ms)

    async def inquire(self) -> None:
        """Put one question, and give its answer time to arrive. Raises LinkError: there is no connection, or it is lost; DeviceError."""
        await self._inquire(ANSWER_MS)

    async def walk(self) -> Health:
        """What the way is like, within WALK_MS. A failure names the first layer that does not do its part.

        measurements, as far as it came: signal_dbm; join_ms, where the network had to be joined; resolve_ms; connect_ms of the last
        connection (look-up, TCP, TLS, broker); round_trip_ms of the quickest of `inquiries` questions to the acquirer, and how many of
        these were `lost`: answered LATE_MS later than that, never answered, or the end of the connection.
        Raises DeviceError: a part other than the network kept the walk from being made.
        """
        measurements: dict[str, int] = {}
        walk = _Walk(self._terminal.hal.clock.monotonic_ms() + WALK_MS, measurements)
        try:
            await self._join(walk)
            await self._look_up(walk)
            await self._connect(walk)
            await self._ask(walk)
        except DeviceError as error:
            if error.kind != KIND:
                raise
            outcome = HEALTH_NOT_RUN if error.cause == "not_configured" else HEALTH_FAIL
            return Health(outcome, KIND, error.cause or "no_link", error.code, error.extended, error.detail, measurements)
        return Health(HEALTH_SUCCESS, KIND, measurements=measurements)

    async def _join(self, walk: "_Walk") -> None:
        """Radio and address. Raises DeviceError."""
        hal = self._terminal.hal
        network = hal.network
        if network is None:
            return
        if not network.enabled:
            health = await network.check_health(CH_INTERNAL)  # says what bring-up met
            raise DeviceError(health.code, KIND, health.detail, health.extended, health.cause)
        if not joined(hal):
            begun_ms = hal.clock.monotonic_ms()
            await network.connect(JOIN_TIMEOUT_MS)
            walk.measurements["join_ms"] = hal.clock.monotonic_ms() - begun_ms
        if network.address() in ("", "0.0.0.0"):
            raise DeviceError(E_TIMEOUT, KIND, "no address", cause="no_address")
        if network.level >= 2:
            walk.measurements["signal_dbm"] = network.signal_dbm()

    async def _look_up(self, walk: "_Walk") -> None:
        """The broker's name, though a connection that there is does without: the next one will not. Raises DeviceError."""
        clock = self._terminal.hal.clock
        begun_ms = clock.monotonic_ms()
        try:
            await address_of(self._terminal.hal, self._terminal.identity.broker_host)
        except LinkError as error:
            raise self._failed(error)
        walk.measurements["resolve_ms"] = clock.monotonic_ms() - begun_ms

    async def _connect(self, walk: "_Walk") -> None:
        """The terminal's own connection. Raises DeviceError with what the present or the next attempt to make it fails with."""
        if not self._terminal.online:
            error = await self._courier.attempt(self._left_ms(walk))
            if error is not None:
                raise self._failed(error)
        walk.measurements["connect_ms"] = self._courier.connect_ms

    async def _ask(self, walk: "_Walk") -> None:
        """Put questions to the acquirer. Raises DeviceError."""
        taken_ms: list[int] = []
        lost = 0
        for _ in range(INQUIRIES):
            await self._quiet(walk)
            left_ms = self._left_ms(walk)
            if left_ms < ANSWER_MS and (taken_ms or not left_ms):
                break
            walk.measurements["inquiries"] = walk.measurements.get("inquiries", 0) + 1
            try:
                took_ms = await self._inquire(min(ANSWER_MS, left_ms))
            except LinkError as error:
                lost += 1
                if walk.connected_again:
                    raise DeviceError(E_OFFLINE, KIND, error.detail, cause="lossy")
                walk.connected_again = True
                while self._terminal.online and self._left_ms(walk):  # until the courier has noticed
                    await self._terminal.hal.clock.sleep_ms(LOOK_MS)
                await self._connect(walk)
                continue
            if took_ms is not None:
                taken_ms.append(took_ms)
            elif taken_ms:
                lost += 1
            else:
                raise DeviceError(E_TIMEOUT, KIND, "no answer from the acquirer within %d ms" % ANSWER_MS, cause="acquirer_silent")
        if not taken_ms:
            raise self._failed(LinkError("E_TIMEOUT", "no time left to ask the acquirer"))
        best_ms = min(taken_ms)
        walk.measurements["round_trip_ms"] = best_ms
        walk.measurements["lost"] = lost + len([took_ms for took_ms in taken_ms if took_ms > best_ms + LATE_MS])

    async def _inquire(self, limit_ms: int) -> "int | None":
        """How long one question and its answer were on their way; None for no answer. Raises LinkError when the connection is lost."""
        async with self._question:
            return await self._ask_once(limit_ms)

    async def _ask_once(self, limit_ms: int) -> "int | None":
        clock = self._terminal.hal.clock
        end_ms = clock.monotonic_ms() + limit_ms
        self._answers_ms = []
        self.asked = await self._terminal.hal.secure_element.random(NONCE_BYTES)
        sent_ms = await self._courier.inquire(self.asked, limit_ms)
        while not self._answers_ms:
            if not self._terminal.online:
                raise LinkError("E_OFFLINE", "lost while an answer was awaited")
            if clock.monotonic_ms() >= end_ms:
                return None
            await clock.sleep_ms(LOOK_MS)
        return self._answers_ms[0] - sent_ms

    async def _quiet(self, walk: "_Walk") -> None:
        """Wait until nothing is queued, for as long as that is worth it."""
        clock = self._terminal.hal.clock
        end_ms = clock.monotonic_ms() + min(QUIET_MS, self._left_ms(walk))
        while self._terminal.online and self._terminal.outbox.waiting() and clock.monotonic_ms() < end_ms:
            await clock.sleep_ms(LOOK_MS)

    def _left_ms(self, walk: "_Walk") -> int:
        return max(0, walk.end_ms - self._terminal.hal.clock.monotonic_ms())

    def _failed(self, error: LinkError) -> DeviceError:
        """What a link's error means for a self-test."""
        hal = self._terminal.hal
        if not joined(hal):
            return DeviceError(E_OFFLINE, KIND, "the network has gone", cause="no_link")
        code, cause = _FAILURES.get((error.code, error.cause)) or _FAILURES[(error.code, "")]
        if error.cause == CAUSE_DATE:
            # Of a certificate that a clock without the right time judges nothing is known.
            if hal.clock.trust != TRUST_SET:
                return DeviceError(code, KIND, "the clock is not set: " + error.detail, cause="clock_wrong")
            return DeviceError(code, KIND, "the broker's certificate is not valid at this date: " + error.detail, cause=cause)
        return DeviceError(code, KIND, error.detail, cause=cause)


class _Walk:
    """One walk. end_ms: by the monotonic clock; connected_again: the one connection that a walk may ask for has been asked for."""

    def __init__(self, end_ms: int, measurements: "dict[str, int]") -> None:
        self.end_ms = end_ms
        self.measurements = measurements
        self.connected_again = False
