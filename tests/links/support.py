"""What the link tests share: the three links behind one face, a clock, and servers that misbehave on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firmware_agent.links.link import LinkError, LinkSettings, Message, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.links.mqtt_stream import MqttStreamLink
from host_sim.microcontroller import micropython_binary
from host_sim.pki import Credential, TestAuthority

if TYPE_CHECKING:
    from firmware_agent.links.link import Will

ROOT = Path(__file__).resolve().parents[2]
HEAP = "256k"  # what a small microcontroller leaves to Python
TIMEOUT_MS = 5000
POLL_S = 0.005
KINDS = ("stream-micropython", "stream-cpython", "paho")

T = TypeVar("T")


class TestClock:
    """The parts of hal.clock that links use, on the machine's time."""

    __test__ = False

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def certificate_s(self) -> int:
        return int(time.time())

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)

    async def wait_for(self, awaitable: Awaitable[T], timeout_ms: int) -> T:
        return await asyncio.wait_for(awaitable, timeout_ms / 1000)  # TimeoutError is an OSError


class RemoteLink:
    """A link that lives in a MicroPython process: see agent_side.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, settings: LinkSettings) -> RemoteLink:
        process = await asyncio.create_subprocess_exec(
            micropython_binary(),
            "-X",
            f"heapsize={HEAP}",
            str(ROOT / "tests/links/agent_side.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "MICROPYPATH": f"{ROOT}:.frozen"},
        )
        link = cls(process)
        tls = settings.tls or Tls(b"", b"", b"", "")
        await link.call(
            "build",
            settings.host,
            settings.port,
            settings.client_id,
            settings.keepalive_s,
            tls.authority_der.hex(),
            tls.certificate_der.hex(),
            tls.private_key_der.hex(),
            tls.server_name,
        )
        return link

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def call(self, name: str, *arguments: object) -> Any:
        number = len(self._replies)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._write({"id": number, "call": name, "arguments": arguments})
        try:
            return await reply
        except asyncio.CancelledError:
            self._write({"id": number, "call": "cancel"})
            raise

    def _write(self, command: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            reply = self._replies[answer["id"]]
            if reply.done():
                continue
            if "error" in answer:
                reply.set_exception(LinkError(*answer["error"]))
            else:
                reply.set_result(answer["result"])
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(AssertionError("the MicroPython process has ended"))

    async def connect(self, timeout_ms: int, will: Will | None = None) -> bool:
        return bool(await self.call("connect", timeout_ms, None if will is None else (will[0], will[1].hex(), will[2])))

    async def subscribe(self, topic: str, timeout_ms: int) -> None:
        await self.call("subscribe", topic, timeout_ms)

    async def publish(self, topic: str, payload: bytes, retain: bool, timeout_ms: int) -> None:
        await self.call("publish", topic, payload.hex(), retain, timeout_ms)

    async def receive(self) -> Message:
        topic, payload, retained, duplicate, token = await self.call("receive")
        return Message(topic, bytes.fromhex(payload), retained, duplicate, token)

    async def acknowledge(self, message: Message) -> None:
        await self.call("acknowledge", message.token)

    async def disconnect(self) -> None:
        await self.call("disconnect")

    async def is_connected(self) -> bool:
        return bool(await self.call("connected"))

    async def is_holding(self) -> bool:
        return bool(await self.call("holding"))


AnyLink = RemoteLink | MqttStreamLink | MqttPahoLink


@contextlib.asynccontextmanager
async def link_of(kind: str, settings: LinkSettings) -> AsyncIterator[AnyLink]:
    """A link of one of KINDS, not connected; torn down in any case."""
    if kind == "stream-micropython":
        remote = await RemoteLink.start(settings)
        try:
            yield remote
        finally:
            await remote.stop()
    else:
        link = (MqttPahoLink if kind == "paho" else MqttStreamLink)(settings, TestClock())
        try:
            yield link
        finally:
            await link.disconnect()


async def is_connected(link: AnyLink) -> bool:
    return await link.is_connected() if isinstance(link, RemoteLink) else link.connected


async def is_holding(link: AnyLink) -> bool:
    """Whether the link's inbox is full, and the link reads no further for that."""
    if isinstance(link, RemoteLink):
        return await link.is_holding()
    if isinstance(link, MqttStreamLink) and not link._holding:
        return False
    return not link._inbox.has_room  # paho's thread holds from before the message that fills the inbox is put


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = TIMEOUT_MS / 1000) -> None:
    """Return as soon as the condition holds; it must within the limit."""
    end = time.monotonic() + limit_s
    while not await asyncio.wait_for(condition(), limit_s):
        assert time.monotonic() < end, f"not within {limit_s} s"
        await asyncio.sleep(POLL_S)


async def filled(link: AnyLink) -> None:
    """Wait until the broker has filled the inbox of a link from which nobody receives."""
    await until(lambda: is_holding(link))


def settings(
    port: int, authority: TestAuthority, credential: Credential, keepalive_s: int = 30, server_name: str = "localhost"
) -> LinkSettings:
    """For a link on loopback whose client identifier is the common name of its certificate."""
    name = credential.certificate.subject.rfc4514_string().split("CN=")[1].split(",")[0]
    tls = Tls(authority.certificate_der, credential.certificate_der, credential.private_key_der, server_name)
    return LinkSettings("127.0.0.1", port, name, keepalive_s, tls)


def send_oversized(link: AnyLink, topic: str, size: int) -> None:
    """Publish what a link refuses to, with the paho client below it; its start is recognisable, and it keeps its place in the order."""
    assert isinstance(link, MqttPahoLink)
    assert link._client is not None
    link._client.publish(topic, oversized(size), qos=1)


def oversized(size: int) -> bytes:
    return bytes(number % 251 for number in range(size))


@contextlib.asynccontextmanager
async def begun(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """A task that does not outlive the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soon(awaitable: Awaitable[T]) -> T:
    """The result, which must come within the tests' patience."""
    return await asyncio.wait_for(awaitable, TIMEOUT_MS / 1000)


async def error_of(awaitable: Awaitable[object]) -> LinkError:
    """The LinkError that must come."""
    try:
        result = await asyncio.wait_for(awaitable, 2 * TIMEOUT_MS / 1000)
    except LinkError as error:
        return error
    raise AssertionError(f"no LinkError, but {result!r}")


CONNACK = b"\x20\x02\x00\x00"


@contextlib.asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[int]:
    """A server on loopback that answers each packet it gets with the next of `answers`, then is silent. Gives its port."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        for answer in answers:
            if not await reader.read(4096):
                return
            writer.write(answer)
        while await reader.read(4096):
            pass

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()


@contextlib.contextmanager
def full_backlog() -> Any:
    """A listening socket whose queue is full, so that the next connection is never answered. Gives its port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


def hangs(port: int, timeout_s: float = 0.3) -> bool:
    """Whether a connection to the port gets no answer at all."""
    with socket.socket() as probe:
        probe.settimeout(timeout_s)
        try:
            probe.connect(("127.0.0.1", port))
        except TimeoutError:
            return True
        return False


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]
