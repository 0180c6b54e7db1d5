"""Keeps the link to the broker, empties the outbox in order, and hands what arrives to the agent. Never gives up, never storms."""

import asyncio

from firmware_agent.links.access import joined
from firmware_agent.links.link import LinkError
from firmware_agent.messages.schema import LINK_LOST, Claims, down_topics, kind_named
from firmware_agent.store import StoreError
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.links.link import Link, Message
    from firmware_agent.terminal import Terminal

CONNECT_TIMEOUT_MS = 15000  # TCP, TLS (1-2 s on a microcontroller) and the broker's answer
ANSWER_TIMEOUT_MS = 10000
BACK_OFF_MIN_MS = 1000
BACK_OFF_MAX_MS = 120000
# A connection that was online this long was a good one. A shorter one (connect, then thrown out) does not reset the back-off.
GOOD_CONNECTION_MS = 30000
NETWORK_LOOK_MS = 250
IDLE_MS = 100  # how often an empty outbox is looked at


class Courier:
    """terminal: whose messages; make_link: gives a Link for the terminal's identity as it is now, with the broker's address looked up, or
    raises LinkError; arrived: takes each message, and returns when what it did is durable: only then is the broker told.

    inquiry: to be held by whoever inquires; asked: what the answer must carry; connect_ms: how long the last connection took to make,
    look-up, TCP, TLS and the broker's answer together.
    """

    def __init__(
        self, terminal: "Terminal", make_link: "Callable[[], Awaitable[Link]]", arrived: "Callable[[Message], Awaitable[None]]"
    ) -> None:
        self._terminal = terminal
        self._make_link = make_link
        self._arrived = arrived
        self._renew = False
        self._announced = ""  # key of the state that the last connection queued
        self._online_since_ms = 0
        self._link: Link | None = None  # of the connection that is online
        self._failures = 0
        self._failure = LinkError("E_OFFLINE", "not connected")  # the last of them
        self._changed = asyncio.Event()  # set when a connection is online, and when one has failed
        self._hurry = asyncio.Event()  # set to end a back-off
        self.connect_ms = 0
        self.inquiry = asyncio.Lock()  # one at a time is asked, and answered
        self.asked = b""  # nonce of the inquiry that is open

    def renew(self) -> None:
        """The identity has changed: connect again with the new one, as soon as nothing is in flight."""
        self._renew = True

    async def attempt(self, timeout_ms: int) -> "LinkError | None":
        """Wait until the terminal is online: gives None; or until an attempt has failed: gives why. It is the attempt under way, or one
        that is made now, before its back-off is over. The back-off goes on growing all the same.
        """
        try:
            await self._terminal.hal.clock.wait_for(self._settled(self._failures), timeout_ms)
        except OSError:
            return LinkError("E_TIMEOUT", "no connection within %d ms" % timeout_ms)
        return None if self._terminal.online else self._failure

    async def _settled(self, failures: int) -> None:
        self._hurry.set()
        while not self._terminal.online and self._failures == failures:
            self._changed.clear()
            await self._changed.wait()

    async def inquire(self, nonce: bytes, timeout_ms: int) -> int:
        """Send an inquiry now, past the outbox, on the connection there is; returns when the broker has it. Gives when the link was handed
        it, by the monotonic clock. Raises LinkError: there is no connection, or it is lost; DeviceError: it cannot be signed.
        """
        terminal = self._terminal
        where, message = await terminal.signed(
            Claims(
                kind_named("inquiry"),
                terminal.identity.terminal,
                terminal.outbox.next_sequence(),
                {"nonce": nonce},
                issued_at=terminal.wall_s,
                boot_count=terminal.boot_count,
            )
        )
        if self._link is None:
            raise LinkError("E_OFFLINE", "not connected")
        self.asked = nonce
        sent_ms = terminal.hal.clock.monotonic_ms()
        await self._link.publish(where, message, False, timeout_ms)
        return sent_ms

    async def run(self) -> None:
        """For as long as the agent runs."""
        clock = self._terminal.hal.clock
        back_off_ms = BACK_OFF_MIN_MS
        while True:
            while not joined(self._terminal.hal):
                await clock.sleep_ms(NETWORK_LOOK_MS)
            try:
                await self._one_connection()
            except (LinkError, StoreError, DeviceError) as error:
                self._terminal.log("link %s" % error)
                self._failure = error if isinstance(error, LinkError) else LinkError("E_OFFLINE", str(error))
                self._terminal.link_cause = self._failure.cause
            good = self._terminal.online and clock.monotonic_ms() - self._online_since_ms >= GOOD_CONNECTION_MS
            self._terminal.online = False
            self._failures += 1
            self._changed.set()
            if self._renew:
                self._renew = False
                back_off_ms = BACK_OFF_MIN_MS
                continue
            if good:
                back_off_ms = BACK_OFF_MIN_MS
            # Counted from the end of the attempt; spread over half to all of it, so that many terminals do not come at once.
            pause_ms = back_off_ms // 2 + await self._random(back_off_ms // 2)
            self._hurry.clear()  # what was asked for while the attempt went on has its answer
            try:
                await clock.wait_for(self._hurry.wait(), pause_ms)
            except OSError:
                pass  # nobody is in a hurry
            back_off_ms = min(2 * back_off_ms, BACK_OFF_MAX_MS)

    async def _one_connection(self) -> None:
        terminal = self._terminal
        clock = terminal.hal.clock
        begun_ms = clock.monotonic_ms()
        link = await self._make_link()
        looked_up_ms = clock.monotonic_ms() - begun_ms
        terminal.connection = terminal.outbox.next_sequence()
        will_topic, will = await terminal.signed(
            Claims(
                kind_named("state"),
                terminal.identity.terminal,
                terminal.connection,
                terminal.state_body(link=LINK_LOST),
                issued_at=terminal.wall_s,
                boot_count=terminal.boot_count,
            )
        )
        receiver = None
        try:
            begun_ms = clock.monotonic_ms()
            await link.connect(CONNECT_TIMEOUT_MS, will=(will_topic, will, True))
            self.connect_ms = looked_up_ms + clock.monotonic_ms() - begun_ms
            # At once: a broker that kept our session sends what it kept before it answers a subscription.
            receiver = asyncio.create_task(self._receive(link))
            for where in down_topics(terminal.identity.acquirer, terminal.identity.terminal):
                await link.subscribe(where, ANSWER_TIMEOUT_MS)
            self._online_since_ms = clock.monotonic_ms()
            self._link = link
            terminal.link_cause = ""
            terminal.online = True
            terminal.log("link online")
            self._announce()
            self._changed.set()
            await self._deliver(link, receiver)
        finally:
            self._link = None
            if receiver is not None:
                receiver.cancel()
            await link.disconnect()

    def _announce(self) -> None:
        """Queue the state as this connection tells it. What an earlier one could not deliver gives way, or a broker that throws the
        terminal out again and again would fill the outbox.
        """
        outbox = self._terminal.outbox
        if self._announced:
            outbox.remove(self._announced)
        self._terminal.send("state", self._terminal.state_body())
        self._announced = outbox.waiting()[-1]

    async def _deliver(self, link: "Link", receiver: "asyncio.Task[LinkError | StoreError | DeviceError]") -> None:
        """Send what is queued, oldest first, until the link is lost or the identity renewed."""
        while not receiver.done():
            waiting = self._terminal.outbox.waiting()
            if waiting:
                await self._send(link, waiting[0])
            elif self._renew:
                return
            else:
                await self._terminal.hal.clock.sleep_ms(IDLE_MS)
        raise await receiver

    async def _send(self, link: "Link", key: str) -> None:
        """Send one entry. One that cannot be sent by any connection is given up, or it would hold up all behind it."""
        terminal = self._terminal
        try:
            claims = terminal.outbox.message(key)
            where, message = await terminal.signed(claims)
            await link.publish(where, message, claims.kind.retained, ANSWER_TIMEOUT_MS)
        except (LinkError, ValueError) as error:
            if isinstance(error, LinkError) and not (error.code == "E_REFUSED" and link.connected):
                raise
            terminal.outbox.discard(key)
            terminal.log("gave up %s: %s" % (key, error))
            return
        terminal.outbox.remove(key)
        terminal.log("sent %s %d" % (claims.kind.name, claims.sequence))

    async def _receive(self, link: "Link") -> "LinkError | StoreError | DeviceError":
        """Until the link is lost, or what arrives cannot be judged or kept; gives why."""
        try:
            while True:
                message = await link.receive()
                await self._arrived(message)
                await link.acknowledge(message)
        except (LinkError, StoreError, DeviceError) as error:
            return error

    async def _random(self, below: int) -> int:
        return int.from_bytes(await self._terminal.hal.secure_element.random(4), "big") % (below + 1)
