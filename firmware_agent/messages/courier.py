"""Keeps the link to the broker, empties the outbox in order, and hands what arrives to the agent. Never gives up, never storms."""

import asyncio

from firmware_agent.links.access import joined
from firmware_agent.links.link import LinkError
from firmware_agent.messages.cbor import encode
from firmware_agent.messages.cose import key_id, sign
from firmware_agent.messages.schema import LINK_LOST, Claims, down_topics, kind_named, topic
from firmware_agent.store import StoreError
from hal.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from firmware_agent.links.link import Link, Message
    from firmware_agent.terminal import Terminal

CONNECT_TIMEOUT_MS = 20000
ANSWER_TIMEOUT_MS = 10000
BACK_OFF_MIN_MS = 1000
BACK_OFF_MAX_MS = 120000
# A connection that was online this long was a good one. A shorter one (connect, then thrown out) does not reset the back-off.
GOOD_CONNECTION_MS = 30000
NETWORK_LOOK_MS = 250
IDLE_MS = 100  # how often an empty outbox is looked at


class Courier:
    """terminal: whose messages; make_link: gives a Link for the terminal's identity as it is now; arrived: takes each message, and
    returns when what it did is durable: only then is the broker told.
    """

    def __init__(
        self, terminal: "Terminal", make_link: "Callable[[], Link]", arrived: "Callable[[Message], Awaitable[None]]"
    ) -> None:
        self._terminal = terminal
        self._make_link = make_link
        self._arrived = arrived
        self._renew = False
        self._announced = ""  # key of the state that the last connection queued
        self._online_since_ms = 0

    def renew(self) -> None:
        """The identity has changed: connect again with the new one, as soon as nothing is in flight."""
        self._renew = True

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
                self._terminal.link_cause = getattr(error, "cause", "")
            good = self._terminal.online and clock.monotonic_ms() - self._online_since_ms >= GOOD_CONNECTION_MS
            self._terminal.online = False
            if self._renew:
                self._renew = False
                back_off_ms = BACK_OFF_MIN_MS
                continue
            if good:
                back_off_ms = BACK_OFF_MIN_MS
            # Counted from the end of the attempt; spread over half to all of it, so that many terminals do not come at once.
            await clock.sleep_ms(back_off_ms // 2 + self._random(back_off_ms // 2))
            back_off_ms = min(2 * back_off_ms, BACK_OFF_MAX_MS)

    async def _one_connection(self) -> None:
        terminal = self._terminal
        link = self._make_link()
        terminal.connection = terminal.outbox.next_sequence()
        will_topic, will = await self._signed(
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
            await link.connect(CONNECT_TIMEOUT_MS, will=(will_topic, will, True))
            # At once: a broker that kept our session sends what it kept before it answers a subscription.
            receiver = asyncio.create_task(self._receive(link))
            for where in down_topics(terminal.identity.acquirer, terminal.identity.terminal):
                await link.subscribe(where, ANSWER_TIMEOUT_MS)
            self._online_since_ms = terminal.hal.clock.monotonic_ms()
            terminal.link_cause = ""
            terminal.online = True
            terminal.log("link online")
            self._announce()
            await self._deliver(link, receiver)
        finally:
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
            where, message = await self._signed(claims)
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

    async def _signed(self, claims: Claims) -> "tuple[str, bytes]":
        identity = self._terminal.identity
        element = self._terminal.hal.secure_element
        where = topic(identity.acquirer, identity.terminal, claims.kind.leaf)
        kid = key_id(await element.public_key(identity.slot))
        return where, await sign(element, identity.slot, kid, encode(claims.to_map()), where)

    def _random(self, below: int) -> int:
        return int.from_bytes(self._terminal.hal.secure_element.random(4), "big") % (below + 1)
