"""An acquirer kept in a folder, for a trial on a real broker: its authority, its key, its broker's settings, and its registry.

Any number of processes may be at work in it. Each holds seats, which are sessions at the broker; what a process leaves behind, in order or
killed, another one takes over. All of it is TEST material: private keys lie there in the open, and certificates end after some days.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from boards.linux_terminal.factory import encoded
from firmware_agent.links.link import LinkSettings, Tls
from firmware_agent.messages.schema import BYTES, LIST, TEXT, UINT, Field, SchemaError, kind_named
from firmware_agent.settings import DEFAULTS
from host_sim.acquirer.acquirer import ANSWER_TIMEOUT_MS, SLOT, Acquirer, ended
from host_sim.acquirer.activation import Activations, Place, TooManyCodes
from host_sim.acquirer.equipment import software_element
from host_sim.acquirer.registry import Registry, RegistryError
from host_sim.acquirer.sealing import SealingKey
from host_sim.acquirer.shared_link import SharedLink
from host_sim.brokers import PID_FILE, MosquittoBroker, write_revoked
from host_sim.pki import TestAuthority
from host_sim.provision import factory_record

FACTS = "acquirer.json"
REGISTRY = "registry.sqlite"
SEALING_KEY = "sealing.pem"
GROUP = "acquirer"  # of the shared subscriptions
RECEIPT_TIMEOUT_S = 60.0
KEEPALIVE_S = 30
LOOK_S = 0.25  # how often a process looks what others wrote into the registry
SEATS_S = 2.0  # how often it says that it holds its seats, and looks for one that nobody holds
LEASE_S = 15  # who was not heard of for so long has left his seats


class OfficeError(Exception):
    """What is wrong with a folder, a file or an order, in one line."""


class Office:
    """folder: made by `found`. Raises OfficeError for one that was not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            self.name: str = facts["name"]
            self.broker_host: str = facts["broker_host"]
            self.broker_port: int = facts["broker_port"]
            self.registry_url: str = facts.get("registry") or f"sqlite:///{folder / REGISTRY}"
            self.authority = TestAuthority.loaded((folder / "authority.pem").read_bytes())
            self.authority.keep_index(folder / "certificates")
            self.sealing_key = SealingKey.loaded((folder / SEALING_KEY).read_bytes())
        except (OSError, ValueError, KeyError) as error:
            raise OfficeError(f"{folder}: no acquirer was set up here ({error}); reinstate acquirer {folder} --broker HOST:PORT") from error

    @staticmethod
    async def found(folder: Path, name: str, broker_host: str, broker_port: int, days: int, registry: str = "") -> Office:
        """Set up an acquirer in an empty folder: keys, authority, and all that mosquitto needs. registry: the URL of a database, '' for a
        file in the folder. Raises OfficeError.
        """
        if folder.exists() and any(folder.iterdir()):
            raise OfficeError(f"{folder}: not empty; an acquirer is set up in a folder of its own")
        if registry:
            _opened(registry).close()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        authority = TestAuthority(days=days)
        (folder / "authority.pem").write_bytes(authority.saved())
        (folder / SEALING_KEY).write_bytes(SealingKey.generated().saved())
        facts = {"name": name, "broker_host": broker_host, "broker_port": broker_port, "registry": registry}
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for part in ("keys", "broker"):
            (folder / part).mkdir()
        await (await software_element(folder / "keys")).generate_key(SLOT)
        server = authority.server((broker_host, "localhost", "127.0.0.1"), days)
        listen = "127.0.0.1" if broker_host in ("localhost", "127.0.0.1") else "0.0.0.0"
        broker = MosquittoBroker(folder / "broker", authority, name, server, listen=listen)
        broker.port = broker_port
        broker.write_config()
        return Office(folder)

    async def enrol(self, request: bytes, terminal: str, settings: dict[str, str]) -> bytes:
        """The credentials that answer a terminal's request. Raises OfficeError, EnrolmentError."""
        _refuse_unknown(settings)
        acquirer = await self.acquirer()
        credentials = acquirer.grant(request, terminal, (self.broker_host, self.broker_port, self.broker_host), settings)
        return credentials.encoded()

    async def acquirer(self, told: Callable[[str], None] = lambda line: None) -> Acquirer:
        """The acquirer without a connection. Raises OfficeError."""
        element = await software_element(self.folder / "keys")
        process = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(4)}"
        registry = _opened(self.registry_url)
        public_key = await element.public_key(SLOT)
        acquirer = Acquirer(
            self.name, self.authority, element, public_key, lambda: int(time.time()), told, registry, process, self.sealing_key
        )
        place = Place(self.broker_host, self.broker_port, self.broker_host, {})
        acquirer.activations = Activations(
            acquirer, self.authority, lambda terminal: place, lambda: int(time.time()), told, self._tell_broker
        )
        return acquirer

    async def activation_code(self, terminal: str, unlocked: str = "") -> str:
        """A new code for that terminal's number. unlocked: hardware id of a device whose wrong codes are forgotten. Raises OfficeError."""
        acquirer = await self.acquirer()
        assert acquirer.activations is not None
        try:
            if unlocked and not acquirer.activations.codes.forget_tries(unlocked):
                raise OfficeError(f"--unlock {unlocked!r}: no wrong code of such a device was counted; its page shows its number")
            return acquirer.activations.codes.issue(terminal, int(time.time()))
        except TooManyCodes as error:
            raise OfficeError(str(error)) from error
        finally:
            acquirer.registry.close()

    async def factory_file(self, device: str, settings: dict[str, str]) -> bytes:
        """What a Linux terminal of that hardware id needs to be activated by a code. Raises OfficeError."""
        _refuse_unknown(settings)
        acquirer = await self.acquirer()
        acquirer.registry.close()
        return encoded(factory_record(device, acquirer, self.authority, (self.broker_host, self.broker_port, self.broker_host)), settings)

    async def _tell_broker(self) -> None:
        """Which certificates are revoked: in the file that mosquitto reads when it starts, and now, if it runs on this machine."""
        folder = self.folder / "broker"
        write_revoked(folder, self.authority)
        with contextlib.suppress(OSError, ValueError):  # it runs elsewhere, and is told by whoever keeps it
            os.kill(int((folder / PID_FILE).read_text(encoding="ascii")), signal.SIGHUP)

    @contextlib.asynccontextmanager
    async def at_work(self, told: Callable[[str], None], *, as_worker: bool = False) -> AsyncIterator[Acquirer]:
        """The acquirer at work, for the time of a `with` block. as_worker: with a seat of its own in any case; else it takes one only if
        nobody holds it, and follows in the registry what others do. Raises OfficeError: no connection.
        """
        acquirer = await self.acquirer(told)
        staff = _Staff(self, acquirer, told, fetch_state=not as_worker)
        staff.take_seat(new=as_worker or not acquirer.registry.has_seats())
        caller = asyncio.current_task()

        def end_caller(task: asyncio.Task[None]) -> None:
            if caller is not None and not task.cancelled() and task.exception() is not None:
                caller.cancel()  # by a defect, and nobody works any more

        task = asyncio.create_task(staff.run())
        task.add_done_callback(end_caller)
        try:
            if staff.seats:
                try:
                    await acquirer.wait_until(lambda: acquirer.connected, ANSWER_TIMEOUT_MS / 1000)
                except TimeoutError as error:
                    raise OfficeError(f"no connection to the broker at {self.broker_host}:{self.broker_port}") from error
            yield acquirer
        finally:
            staff.leave()
            await task
            acquirer.registry.close()

    def link(self, seat: int, fetch_state: bool) -> SharedLink:
        """A connection to the broker for a seat."""
        credential = self.authority.client(self.name)
        tls = Tls(self.authority.certificate_der, credential.certificate_der, credential.private_key_der, self.broker_host)
        settings = LinkSettings(self.broker_host, self.broker_port, f"{self.name}-{seat}", KEEPALIVE_S, tls)
        return SharedLink(settings, GROUP, fetch_state)


class _Staff:
    """The seats of one process. A seat is a session at the broker: it is never given up, for messages may wait in it, but left to whoever
    comes next, and taken over from whoever is not heard of.
    """

    def __init__(self, office: Office, acquirer: Acquirer, told: Callable[[str], None], fetch_state: bool) -> None:
        self.seats: dict[int, asyncio.Task[None]] = {}
        self._office = office
        self._acquirer = acquirer
        self._told = told
        self._fetch_state = fetch_state
        self._leaving = False

    def take_seat(self, new: bool) -> None:
        registry, process = self._acquirer.registry, self._acquirer.process
        seat = registry.take_seat(process, int(time.time()), LEASE_S, new)
        if seat:
            self.seats[seat] = asyncio.create_task(self._acquirer.run(self._office.link(seat, self._fetch_state)))

    async def run(self) -> None:
        """Work in the seats, and look after them, until `leave`."""
        due = time.monotonic() + SEATS_S
        try:
            while not self._leaving:
                await asyncio.sleep(LOOK_S)
                await self._acquirer.look_again()
                if time.monotonic() >= due:
                    due = time.monotonic() + SEATS_S
                    try:
                        await self._look_after_seats()
                    except SQLAlchemyError as error:  # should it last, others have them, or nobody
                        self._told(f"registry {str(error).splitlines()[0]}")
        finally:
            for seat, work in self.seats.items():
                await ended(work)
                with contextlib.suppress(SQLAlchemyError):
                    self._acquirer.registry.leave_seat(seat, self._acquirer.process)

    def leave(self) -> None:
        """Let `run` end: it does when all seats are left."""
        self._leaving = True

    async def _look_after_seats(self) -> None:
        for seat, work in list(self.seats.items()):
            if work.done():
                work.result()  # it ends only by a defect
            if not self._acquirer.registry.keep_seat(seat, self._acquirer.process, int(time.time())):
                await ended(self.seats.pop(seat))  # this process stood still for so long that another one has it
        self.take_seat(new=False)


def _refuse_unknown(settings: dict[str, str]) -> None:
    unknown = sorted(set(settings) - set(DEFAULTS))
    if unknown:
        raise OfficeError(f"no setting {unknown[0]!r}; there are: {', '.join(sorted(DEFAULTS))}")


def _opened(url: str) -> Registry:
    try:
        return Registry(url)
    except RegistryError as error:
        raise OfficeError(str(error)) from error


async def order(acquirer: Acquirer, terminal: str, fields: dict[str, Any]) -> str:
    """Send an order, and give what the terminal's signed receipt says of it. Raises OfficeError: unknown terminal, no receipt."""
    try:
        number = await acquirer.order(terminal, **fields)
        receipt = await acquirer.receipt_of(terminal, number, RECEIPT_TIMEOUT_S)
    except KeyError as error:
        raise OfficeError(f"no terminal {terminal!r}; there are: {', '.join(acquirer.accounts) or 'none'}") from error
    except SchemaError as error:
        raise OfficeError(str(error)) from error
    except TimeoutError as error:
        wait = f"no receipt from {terminal} within {RECEIPT_TIMEOUT_S:.0f} s: is it switched on? The order waits for it"
        raise OfficeError(wait) from error
    return str(receipt.get("refusal", ""))


def order_fields(action: str, words: list[str]) -> dict[str, Any]:
    """The fields of an order from words like 'plan=full', 'settings=language:en', and bytes in hexadecimal. Raises OfficeError."""
    known: dict[str, Field] = {field.name: field for field in kind_named("order").fields}
    fields: dict[str, Any] = {"action": action}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known or name == "action":
            raise OfficeError(f"{word!r} is no field of an order; there are: {', '.join(sorted(set(known) - {'action'}))}, as NAME=VALUE")
        kind = known[name].type
        if kind == TEXT:
            fields[name] = value
        elif kind == UINT:
            if not value.isdecimal():
                raise OfficeError(f"{name}: {value!r} is not a whole number")
            fields[name] = int(value)
        elif kind == BYTES:
            try:
                fields[name] = bytes.fromhex(value)
            except ValueError as error:
                raise OfficeError(f"{name}: {value!r} is not hexadecimal") from error
        elif kind == LIST:  # of pairs, one a word
            setting, colon, to = value.partition(":")
            if not colon:
                raise OfficeError(f"{name}: {value!r} is not NAME:VALUE")
            fields.setdefault(name, []).append([setting, to])
        else:
            raise OfficeError(f"{name} cannot be given here")
    return fields
