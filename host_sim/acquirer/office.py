"""An acquirer kept in a folder, for a trial on a real broker: its authority, its key, its broker's settings, and the terminals it knows.

All of it is TEST material: private keys lie there in the open, and certificates end after some days.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from firmware_agent.links.link import LinkError, LinkSettings, Tls
from firmware_agent.links.mqtt_paho import MqttPahoLink
from firmware_agent.messages.schema import TEXT, UINT, Field, kind_named
from firmware_agent.settings import DEFAULTS
from host_sim.acquirer.acquirer import SLOT, Account, Acquirer, running
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.brokers import MosquittoBroker
from host_sim.pki import TestAuthority

FACTS = "acquirer.json"
KEPT = ("sequence", "may_register")
KEPT_KEYS = ("public_key", "next_public_key")
RECEIPT_TIMEOUT_S = 60.0
KEEPALIVE_S = 30
SEQUENCE_GAP = 100  # a process that was killed may have signed some that it did not write down: a terminal refuses what it had before


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
            self.authority = TestAuthority.loaded((folder / "authority.pem").read_bytes())
        except (OSError, ValueError, KeyError) as error:
            raise OfficeError(f"{folder}: no acquirer was set up here ({error}); reinstate acquirer {folder} --broker HOST:PORT") from error

    @staticmethod
    async def found(folder: Path, name: str, broker_host: str, broker_port: int, days: int) -> Office:
        """Set up an acquirer in an empty folder: keys, authority, and all that mosquitto needs. Raises OfficeError."""
        if folder.exists() and any(folder.iterdir()):
            raise OfficeError(f"{folder}: not empty; an acquirer is set up in a folder of its own")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        authority = TestAuthority(days=days)
        (folder / "authority.pem").write_bytes(authority.saved())
        facts = {"name": name, "broker_host": broker_host, "broker_port": broker_port}
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for part in ("keys", "terminals", "broker"):
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
        unknown = sorted(set(settings) - set(DEFAULTS))
        if unknown:
            raise OfficeError(f"no setting {unknown[0]!r}; there are: {', '.join(sorted(DEFAULTS))}")
        acquirer = await self.acquirer()
        credentials = acquirer.grant(request, terminal, (self.broker_host, self.broker_port, self.broker_host), settings)
        self.keep(acquirer.accounts[terminal])
        return credentials.encoded()

    async def acquirer(self, told: Callable[[str], None] = lambda line: None) -> Acquirer:
        """With the accounts that are kept."""
        element = await software_element(self.folder / "keys")
        acquirer = Acquirer(self.name, self.authority, element, await element.public_key(SLOT), lambda: int(time.time()), told)
        for file in sorted((self.folder / "terminals").glob("*.json")):
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            account = acquirer.enrol(file.stem, b"")
            for field in KEPT:
                setattr(account, field, kept[field])
            for field in KEPT_KEYS:
                setattr(account, field, bytes.fromhex(kept[field]))
            account.sequence += SEQUENCE_GAP
        return acquirer

    def keep(self, account: Account) -> None:
        """Write down what must outlive this process: the keys that count, and the sequence that only grows."""
        kept = {field: getattr(account, field) for field in KEPT}
        kept |= {field: getattr(account, field).hex() for field in KEPT_KEYS}
        file = self.folder / "terminals" / f"{account.terminal}.json"
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        beside.replace(file)

    @contextlib.asynccontextmanager
    async def at_work(self, told: Callable[[str], None]) -> AsyncIterator[Acquirer]:
        """The acquirer connected to its broker, and what it learns written down. Raises OfficeError: another is at work, no connection."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OfficeError(f"{self.folder}: another command is at work in this folder; end it first") from error
            acquirer = await self.acquirer(told)
            credential = self.authority.client(self.name)
            tls = Tls(self.authority.certificate_der, credential.certificate_der, credential.private_key_der, self.broker_host)
            link = MqttPahoLink(LinkSettings(self.broker_host, self.broker_port, self.name, KEEPALIVE_S, tls), await started_clock())
            try:
                async with running(acquirer, link):
                    keeper = asyncio.create_task(self._keep_up(acquirer))
                    try:
                        yield acquirer
                    finally:
                        keeper.cancel()
                        self._keep_all(acquirer)
            except TimeoutError as error:
                raise OfficeError(f"no connection to the broker at {self.broker_host}:{self.broker_port}") from error

    async def _keep_up(self, acquirer: Acquirer) -> None:
        while True:
            await acquirer.changed()
            self._keep_all(acquirer)

    def _keep_all(self, acquirer: Acquirer) -> None:
        for account in acquirer.accounts.values():
            self.keep(account)


async def order(acquirer: Acquirer, terminal: str, fields: dict[str, Any]) -> str:
    """Send an order, and give what the terminal's signed receipt says of it. Raises OfficeError: unknown terminal, no receipt."""
    if terminal not in acquirer.accounts:
        raise OfficeError(f"no terminal {terminal!r}; there are: {', '.join(acquirer.accounts) or 'none'}")
    name = await acquirer.order(terminal, **fields)
    try:
        receipt = await acquirer.receipt_of(terminal, name, RECEIPT_TIMEOUT_S)
    except (TimeoutError, LinkError) as error:
        raise OfficeError(f"no receipt from {terminal} within {RECEIPT_TIMEOUT_S:.0f} s: is it switched on?") from error
    return str(receipt.get("refusal", ""))


def order_fields(action: str, words: list[str]) -> dict[str, Any]:
    """The fields of an order from words like 'plan=full'. Raises OfficeError."""
    known: dict[str, Field] = {field.name: field for field in kind_named("order").fields}
    fields: dict[str, Any] = {"action": action}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in known or name == "action":
            raise OfficeError(f"{word!r} is no field of an order; there are: {', '.join(sorted(set(known) - {'action'}))}, as NAME=VALUE")
        if known[name].type == UINT:
            if not value.isdecimal():
                raise OfficeError(f"{name}: {value!r} is not a whole number")
            fields[name] = int(value)
        else:
            assert known[name].type == TEXT
            fields[name] = value
    return fields
