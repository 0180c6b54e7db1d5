"""One of several connections that share an acquirer's subscriptions: MQTT 5 by paho, behind the calls of firmware_agent.links.link.

The broker gives each message to one of the group (MQTT 5.0, 4.8.2). The session outlives the connection by SESSION_S: what was not
acknowledged comes again, with the next connection of the same client id. A broker may forget it when the session ends instead of handing it
to others (mosquitto does), so sessions are never ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from firmware_agent.links.link import LinkError, LinkSettings, Message
from firmware_agent.links.tcp_cpython import tls_context

SESSION_S = 30 * 24 * 3600
RECEIVE_MAXIMUM = 10  # not acknowledged at a time: the fewer, the fewer wait for a process that was killed


class SharedLink:
    """group: of the subscriptions; fetch_state: what the broker retains is asked for with each connection, not only with a new session (a
    shared subscription gives nothing retained). Opens nothing before connect. Raises LinkError only.
    """

    def __init__(self, settings: LinkSettings, group: str, fetch_state: bool) -> None:
        self._settings = settings
        self._group = group
        self._fetch_state = fetch_state
        self._client: paho.Client | None = None
        self._awaited: dict[tuple[str, int], asyncio.Future[int]] = {}  # (what, packet identifier) -> reason code
        self._arrived: asyncio.Queue[Message | LinkError] = asyncio.Queue()
        self._fetches = False

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def connect(self, timeout_ms: int, will: Any = None) -> bool:
        """Whether the broker had kept the session. will: there is none."""
        await self.disconnect()
        settings = self._settings
        client = paho.Client(
            CallbackAPIVersion.VERSION2, settings.client_id, protocol=paho.MQTTv5, reconnect_on_failure=False, manual_ack=True
        )
        client.connect_timeout = timeout_ms / 1000
        if settings.tls is not None:
            client.tls_set_context(tls_context(settings.tls))
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[tuple[str, bool]] = loop.create_future()
        arrived: asyncio.Queue[Message | LinkError] = asyncio.Queue()
        awaited: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._arrived, self._awaited = arrived, awaited

        def tell(report: Any, *arguments: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody is left to tell
                loop.call_soon_threadsafe(report, *arguments)

        def open_up(problem: str, kept: bool) -> None:
            if not opened.done():
                opened.set_result((problem, kept))

        def end(reason: str) -> None:
            open_up(reason, False)
            if self._client is client:
                self._client = None
            for answer in awaited.values():
                if not answer.done():
                    answer.set_exception(LinkError("E_OFFLINE", reason))
            awaited.clear()
            arrived.put_nowait(LinkError("E_OFFLINE", reason))

        def answer(what: str, identifier: int, code: int) -> None:
            waiting = awaited.pop((what, identifier), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(code)

        # These four run in paho's thread.
        client.on_connect = lambda _, __, flags, reason, ___: tell(open_up, str(reason) if reason.is_failure else "", flags.session_present)
        client.on_disconnect = lambda _, __, ___, reason, ____: tell(end, str(reason))
        client.on_message = lambda _, __, message: tell(
            arrived.put_nowait,
            Message(message.topic, bytes(message.payload), message.retain, message.dup, (client, message.mid, message.qos)),
        )
        client.on_publish = lambda _, __, identifier, reason, ___: tell(answer, "publish", identifier, reason.value)
        client.on_subscribe = lambda _, __, identifier, reasons, ___: tell(answer, "subscribe", identifier, reasons[0].value)
        client.on_unsubscribe = lambda _, __, identifier, reasons, ___: tell(answer, "unsubscribe", identifier, 0)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        try:
            await asyncio.to_thread(
                client.connect, settings.host, settings.port, settings.keepalive_s, clean_start=False, properties=properties
            )
            client.loop_start()
            async with asyncio.timeout(timeout_ms / 1000):
                problem, kept = await opened
        except (OSError, ValueError) as error:  # TimeoutError is one
            await _stop(client)
            raise LinkError("E_OFFLINE", f"{settings.host}:{settings.port}: {error or 'no answer'}") from error
        except asyncio.CancelledError:
            await _stop(client)
            raise
        if problem:
            await _stop(client)
            raise LinkError("E_REFUSED", problem)
        self._client = client
        self._fetches = self._fetch_state or not kept
        return kept

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        """Share the subscription to a topic or filter."""
        await self._subscribe(f"$share/{self._group}/{topic}", timeout_ms)
        if self._fetches and topic.endswith("/state"):
            await self._subscribe(topic, timeout_ms)  # gives what is retained
            await self._exchange("unsubscribe", lambda client: client.unsubscribe(topic), timeout_ms)

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        """Returns when the broker has acknowledged. E_REFUSED: it does not allow the topic."""

        def send(client: paho.Client) -> tuple[MQTTErrorCode, int]:
            info = client.publish(topic, payload, qos=1, retain=retain)
            return info.rc, info.mid

        code = await self._exchange("publish", send, timeout_ms)
        if code >= 0x80:  # MQTT 5.0, 2.4: a failure
            raise LinkError("E_REFUSED", f"publication to {topic}: reason {code:#x}")

    async def receive(self) -> Message:
        arrived = await self._arrived.get()
        if isinstance(arrived, LinkError):
            self._arrived.put_nowait(arrived)
            raise arrived.fresh()
        return arrived

    async def acknowledge(self, message: Message) -> None:
        """A message of an earlier connection: nothing is sent."""
        client: paho.Client
        client, identifier, quality = message.token
        if client is self._client and quality:
            client.ack(identifier, quality)

    async def disconnect(self) -> None:
        """End the connection; the broker keeps the session."""
        client, self._client = self._client, None
        if client is not None:
            await _stop(client)

    async def _subscribe(self, topic: str, timeout_ms: int) -> None:
        if await self._exchange("subscribe", lambda client: client.subscribe(topic, qos=1), timeout_ms) != 1:
            raise LinkError("E_REFUSED", f"subscription to {topic}")

    async def _exchange(self, what: str, send: Any, timeout_ms: int) -> int:
        """Let `send(client)` give (error code, identifier), and wait for the answer to it; gives its reason code."""
        client = self._client
        if client is None:
            raise LinkError("E_OFFLINE", "not connected")
        code, identifier = send(client)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError("E_OFFLINE", f"paho: {paho.error_string(code)}")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._awaited[what, identifier] = answer
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await answer
        except TimeoutError as error:
            raise LinkError("E_TIMEOUT", f"no acknowledgement within {timeout_ms} ms") from error
        finally:
            self._awaited.pop((what, identifier), None)


async def _stop(client: paho.Client) -> None:
    """In a thread of its own, for paho waits for its thread."""
    client.disconnect()
    await asyncio.to_thread(client.loop_stop)
