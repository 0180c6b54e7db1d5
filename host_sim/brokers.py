"""Brokers for the desktop and for tests, on loopback: mosquitto as a process, and amqtt inside ours, with the same rules.

TLS with a client certificate that the authority has issued; the certificate's common name is the user. A terminal writes
what goes up on its own topics and reads what goes down on them; the acquirer's user does the reverse for every terminal.
A publication larger than MAX_PUBLICATION_BYTES is acknowledged and dropped, as one outside those rules is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.adapters import ReaderAdapter, WriterAdapter  # type: ignore[import-untyped]
from amqtt.broker import Broker  # type: ignore[import-untyped]
from amqtt.contexts import Action, BaseContext, BrokerConfig, ListenerConfig  # type: ignore[import-untyped]
from amqtt.errors import AMQTTError, BrokerError  # type: ignore[import-untyped]
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler  # type: ignore[import-untyped]
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin  # type: ignore[import-untyped]
from amqtt.session import Session  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.x509.oid import NameOID

from firmware_agent.messages import schema
from host_sim.pki import Credential, TestAuthority

HOST = "127.0.0.1"
UP = tuple(kind.leaf for kind in schema.KINDS if kind.direction == schema.UP)
DOWN = tuple(kind.leaf for kind in schema.KINDS if kind.direction == schema.DOWN)
PID_FILE = "mosquitto.pid"
MAX_PUBLICATION_BYTES = 65536  # of payload: ours are under 1,000, a link keeps 4,096 and reads past 1 MiB
MAX_QUEUED_MESSAGES = 100000  # of a session: mosquitto drops what is more, and a worker that was killed is replaced after 15 s

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.02
RUNNING = re.compile(r"mosquitto version \S+ running")  # what it says once all its sockets are open


class BrokerFailure(Exception):
    """The broker did not start; the text says why, in the broker's own words."""


class _Files:
    """What both brokers read at their start, in a folder of their own."""

    def __init__(self, folder: Path, authority: TestAuthority, server: Credential) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = authority
        self.authority = folder / "authority.pem"
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self.authority.write_bytes(authority.certificate_pem)
        self.certificate.write_bytes(server.certificate_pem)
        self.key.touch(mode=0o600)
        self.key.write_bytes(server.private_key_pem)
        self.write_revoked()

    def write_revoked(self) -> None:
        self.revoked = write_revoked(self._folder, self._authority)


def write_revoked(folder: Path, authority: TestAuthority) -> Path:
    """Write the authority's list as it is now into a broker's folder, never half of it; gives where."""
    file = folder / "revoked.pem"
    beside = file.with_suffix(".new")
    beside.write_bytes(authority.crl_pem)
    return beside.replace(file)


def free_port() -> int:
    """A port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class MosquittoBroker:
    """mosquitto as a subprocess. folder: a working folder of its own, kept sessions and messages lie there.

    acquirer: the common name of the acquirer's certificate, and its part of the topics; server: another certificate than
    the one that is issued here for localhost; listen: the address on which it does.
    """

    KEEPS_SESSIONS = True  # when this process ends

    def __init__(
        self,
        folder: Path,
        authority: TestAuthority,
        acquirer: str,
        server: Credential | None = None,
        program: str = "mosquitto",
        listen: str = HOST,
    ) -> None:
        self._folder = folder
        self._acquirer = acquirer
        self._program = program
        self._listen = listen
        self._files = _Files(folder, authority, server or authority.server())
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self) -> None:
        """Start, and wait until it listens. The port stays the same when it is started again. Raises BrokerFailure."""
        self.port = self.port or free_port()
        config = self.write_config()
        log = self._folder / "mosquitto.log"
        try:
            with log.open("wb") as output:
                self._process = await asyncio.create_subprocess_exec(
                    self._program, "-c", str(config), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
                )
        except OSError as error:
            raise BrokerFailure(f"{self._program} cannot be started: {error}") from error
        process = self._process
        for _ in range(int(START_TIMEOUT_S / POLL_S)):
            if process.returncode is not None:
                self._process = None
                raise BrokerFailure(f"mosquitto ended with {process.returncode}: {log.read_text(errors='replace').strip()}")
            if RUNNING.search(log.read_text(errors="replace")):
                return
            await asyncio.sleep(POLL_S)
        await self.stop()
        raise BrokerFailure(f"mosquitto does not listen after {START_TIMEOUT_S} s: {log.read_text(errors='replace').strip()}")

    async def stop(self) -> None:
        """Stop it; it writes its sessions to the folder. Nothing to do when it does not run."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def has_died(self) -> bool:
        """It was started and not stopped, and runs no more."""
        return self._process is not None and self._process.returncode is not None

    async def restart(self) -> None:
        """Stop and start on the same port, with the sessions kept. Raises BrokerFailure."""
        await self.stop()
        await self.start()

    async def read_revoked(self) -> None:
        """Read the authority's list of revoked certificates anew. Who is connected stays so."""
        self._files.write_revoked()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    def write_config(self) -> Path:
        """All that `mosquitto -c` needs, in its folder; gives the path of its configuration."""
        # A '%u' whose name holds '+', '#' or '/' is refused by mosquitto itself.
        rules = [f"pattern write {schema.topic(self._acquirer, '%u', leaf)}" for leaf in UP]
        rules += [f"pattern read {schema.topic(self._acquirer, '%u', leaf)}" for leaf in DOWN]
        rules += [f"user {self._acquirer}"]
        rules += [f"topic read {schema.topic(self._acquirer, '+', leaf)}" for leaf in UP]
        rules += [f"topic write {schema.topic(self._acquirer, '+', leaf)}" for leaf in DOWN]
        acl = self._folder / "acl"
        acl.write_text("\n".join(rules) + "\n")
        acl.chmod(0o600)
        config = self._folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} {self._listen}",
            f"cafile {self._files.authority}",
            f"certfile {self._files.certificate}",
            f"keyfile {self._files.key}",
            f"crlfile {self._files.revoked}",
            f"pid_file {self._folder / PID_FILE}",
            "require_certificate true",
            "use_identity_as_username true",
            "allow_anonymous false",
            f"acl_file {acl}",
            "persistence true",
            f"max_queued_messages {MAX_QUEUED_MESSAGES}",
            f"persistence_location {self._folder}/",
            f"message_size_limit {MAX_PUBLICATION_BYTES}",
            "set_tcp_nodelay true",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            "log_dest stderr",
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes a user that cannot write the folder
        config.write_text("\n".join(lines) + "\n")
        return config


class CertificateUser(BaseAuthPlugin):  # type: ignore[misc]
    """amqtt: the user is the common name of the client's certificate. revoked: the file that lists those that are none any more."""

    @dataclass
    class Config:
        revoked: str = ""

    async def authenticate(self, *, session: Session) -> bool | None:
        der = session.ssl_object.getpeercert(binary_form=True) if session.ssl_object is not None else None
        if der is None:
            return False
        certificate = x509.load_der_x509_certificate(der)
        revoked = x509.load_pem_x509_crl(Path(self._get_config_option("revoked")).read_bytes())
        if revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            return False
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        session.username = str(names[0].value) if names else None
        session.is_anonymous = False
        return bool(names)


class TopicRules(BaseTopicPlugin):  # type: ignore[misc]
    """amqtt: the same rules as mosquitto's list."""

    @dataclass
    class Config:
        acquirer: str = ""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._acquirer: str = self._get_config_option("acquirer")

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        user = session.username if session is not None else None
        parts = (topic or "").split("/")
        if not user or len(parts) < 2:
            return False
        terminal, leaf = parts[-2:]
        if topic != schema.topic(self._acquirer, terminal, leaf):
            return False
        writes = action == Action.PUBLISH
        if user == self._acquirer:
            return leaf in (DOWN if writes else UP)
        return terminal == user and leaf in (UP if writes else DOWN)


class _Steady(dict[str, Any]):
    """A dictionary whose items are those of the moment they were asked for, whatever is added meanwhile."""

    def items(self) -> Any:
        return list(super().items())


class _StrictBroker(Broker):  # type: ignore[misc]
    """amqtt with four faults of 0.12 mended: a client certificate is demanded, each connection is judged by its own, a subscription that
    comes while a message is handed out does not end the handing out for good, and no connection keeps it from stopping. And with a limit to
    the size of publications, for which it has no setting.
    """

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._subscriptions = _Steady()

    @property
    def is_serving(self) -> bool:
        """It listens, and hands out what is published."""
        listens = all(server.instance.is_serving() for server in self._servers.values())
        return listens and self._broadcast_task is not None and not self._broadcast_task.done()

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context: ssl.SSLContext = Broker._create_ssl_context(listener)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    async def _initialize_client_session(
        self, reader: ReaderAdapter, writer: WriterAdapter, remote_address: str, remote_port: int
    ) -> tuple[BrokerProtocolHandler, Session]:
        handler, session = await super()._initialize_client_session(reader, writer, remote_address, remote_port)
        session.ssl_object = writer.get_ssl_info()  # a kept session would hold the one of its first connection
        return handler, session

    async def shutdown(self) -> None:
        """Every connection is torn first. A reader is cancelled and then waited for, and one to which a packet comes in that very turn
        loses the cancellation (`asyncio.wait_for` of Python 3.11 does): it would wait for the next packet. The end of its stream it cannot
        miss.
        """
        for _, handler in list(self._sessions.values()):
            if handler.writer is not None:
                handler.writer.is_closed = True  # else what is under way would be written to it
                handler.writer._writer.transport.abort()
        await super().shutdown()

    async def _stop_handler(self, handler: BrokerProtocolHandler) -> None:
        await asyncio.sleep(0)  # a reader that is cancelled before its first turn never says that it has ended
        await super()._stop_handler(handler)

    async def _handle_message_delivery(
        self, client_session: Session, handler: BrokerProtocolHandler, wait_deliver: asyncio.Future[Any]
    ) -> bool:
        message = wait_deliver.result()
        if message is not None and len(message.data) > MAX_PUBLICATION_BYTES:
            return True  # acknowledged already; the connection goes on
        return bool(await super()._handle_message_delivery(client_session, handler, wait_deliver))


class EmbeddedBroker:
    """amqtt in this process and loop: for one terminal on a machine without mosquitto. The arguments are those of MosquittoBroker.

    Sessions and retained messages live in memory: `restart` forgets them.
    """

    KEEPS_SESSIONS = False

    def __init__(self, folder: Path, authority: TestAuthority, acquirer: str, server: Credential | None = None) -> None:
        self._acquirer = acquirer
        self._files = _Files(folder, authority, server or authority.server())
        self._broker: _StrictBroker | None = None
        self.port = 0

    async def start(self) -> None:
        """Start; it listens when this returns. The port stays the same when it is started again. Raises BrokerFailure."""
        self.port = self.port or free_port()
        listener = ListenerConfig(
            bind=f"{HOST}:{self.port}",
            ssl=True,
            cafile=self._files.authority,
            certfile=self._files.certificate,
            keyfile=self._files.key,
        )
        plugins: dict[str, Any] = {
            f"{__name__}.{CertificateUser.__name__}": {"revoked": str(self._files.revoked)},
            f"{__name__}.{TopicRules.__name__}": {"acquirer": self._acquirer},
        }
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters comes as an exception
        try:
            broker = _StrictBroker(BrokerConfig(listeners={"default": listener}, plugins=plugins))
            await broker.start()
        except (AMQTTError, BrokerError, OSError, ValueError) as error:
            raise BrokerFailure(f"amqtt does not start: {error}") from error
        self._broker = broker

    async def stop(self) -> None:
        """Stop it. Nothing to do when it does not run. Raises TimeoutError when it does not end."""
        broker, self._broker = self._broker, None
        if broker is not None:
            await asyncio.wait_for(broker.shutdown(), STOP_TIMEOUT_S)

    @property
    def is_running(self) -> bool:
        return self._broker is not None and self._broker.is_serving

    @property
    def has_died(self) -> bool:
        """As of MosquittoBroker."""
        return self._broker is not None and not self._broker.is_serving

    async def read_revoked(self) -> None:
        """As of MosquittoBroker: it is read at each connection."""
        self._files.write_revoked()

    async def restart(self) -> None:
        """Stop and start on the same port; sessions are forgotten. Raises BrokerFailure."""
        await self.stop()
        await self.start()
