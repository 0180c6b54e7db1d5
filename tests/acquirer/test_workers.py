"""Several processes are one acquirer, on mosquitto: what one of them leaves undone when it is killed, the others do, and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from firmware_agent.links.link import Tls
from firmware_agent.links.tcp_cpython import tls_context
from firmware_agent.messages.cbor import decode
from firmware_agent.messages.cose import parse
from firmware_agent.messages.schema import Claims, kind_named, topic
from host_sim.acquirer.codec import Signer
from host_sim.acquirer.office import Office
from host_sim.acquirer.registry import Registry
from host_sim.brokers import free_port
from tests.acquirer.databases import postgresql

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
LOOK_S = 0.05
TERMINALS = [f"T{number}" for number in range(5)]
MESSAGES = 60  # of each terminal
STOP_AFTER = 20  # of them
KILL_AFTER = 40

pytestmark = [pytest.mark.needs("mosquitto"), pytest.mark.timeout(240)]


def until(holds: Callable[[], bool], what: Callable[[], str]) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, what()
        time.sleep(LOOK_S)


class Terminal:
    """Signs as a terminal does, and gives a receipt for what it is sent. received: the kinds and sequences that came."""

    def __init__(self, office: Office, registry: Registry, name: str) -> None:
        self.name = name
        self.received: list[tuple[str, int]] = []
        self._signer = Signer(ec.generate_private_key(ec.SECP256R1()))
        self._sequence = 0
        self._acquirer = office.name
        self._lock = threading.Lock()
        registry.enrol(name, self._signer.public_key)
        credential = office.authority.client(name)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=False, protocol=paho.MQTTv311)
        authority = office.authority.certificate_der
        tls = Tls(authority, credential.certificate_der, credential.private_key_der, office.broker_host)
        self._client.tls_set_context(tls_context(tls))
        self._client.on_connect = lambda client, *_: client.subscribe([(topic(office.name, name, leaf), 1) for leaf in ("answer", "order")])
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _, __, message: self._take(message.payload)
        self._client.connect(office.broker_host, office.broker_port)
        self._client.loop_start()
        assert subscribed.wait(LIMIT_S)

    def say(self, kind: str, body: dict[str, Any]) -> paho.MQTTMessageInfo:
        with self._lock:
            self._sequence += 1
            claims = Claims(kind_named(kind), self.name, self._sequence, body, boot_count=1)
            where = topic(self._acquirer, self.name, claims.kind.leaf)
            return self._client.publish(where, self._signer.sign(where, claims), qos=1, retain=claims.kind.retained)

    def _take(self, message: bytes) -> None:
        claims = Claims.from_map(decode(parse(message).payload))
        self.received.append((claims.kind.name, claims.sequence))
        self.say("receipt", {"of": sha256(message).digest()[:16], "result": "SUCC", "highest": claims.sequence})

    @property
    def said(self) -> int:
        return self._sequence

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Worker:
    """`reinstate work` as a process."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            command = [sys.executable, "-m", "host_sim.cli", "work", str(folder)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def is_at_work(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "at work\n" in self.log.read_text()


@contextlib.contextmanager
def acquirer(folder: Path, workers: int, registry: str = "") -> Iterator[tuple[Office, Registry, list[Worker]]]:
    """An acquirer's folder, its mosquitto, and its workers at work. registry: URL of its database, '' for a file."""
    office = asyncio.run(Office.found(folder / "acquirer", "acq1", "localhost", free_port(), 1, registry))
    log = folder / "mosquitto.log"
    begun: list[Worker] = []
    with log.open("wb") as output:
        command = ["mosquitto", "-c", str(office.folder / "broker" / "mosquitto.conf")]
        broker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: " running" in log.read_text(), log.read_text)
        begun += [Worker(office.folder, folder / f"worker{number}.log") for number in range(workers)]
        until(lambda: all(worker.is_at_work() for worker in begun), lambda: "the workers are not at work")
        yield office, Registry(office.registry_url), begun
    finally:
        for process in [worker.process for worker in begun] + [broker]:
            process.kill()
            process.wait()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))])
def test_a_worker_that_is_killed_loses_nothing_and_nothing_is_counted_twice(database: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgresql()) if database == "postgresql" else ""
        office, registry, workers = stack.enter_context(acquirer(tmp_path, workers=3, registry=url))
        terminals = [Terminal(office, registry, name) for name in TERMINALS]
        victim = workers[1].process
        for number in range(MESSAGES):
            infos = [terminal.say("event", {"name": "signed_on", "detail": str(number)}) for terminal in terminals]
            if number % 10 == 5:
                infos += [terminal.say("inquiry", {"nonce": number.to_bytes(8, "big")}) for terminal in terminals]
            for info in infos:
                info.wait_for_publish(LIMIT_S)
            if number == STOP_AFTER:
                until(lambda: registry.count() >= STOP_AFTER * len(terminals), lambda: f"{registry.count()} taken")
                victim.send_signal(signal.SIGSTOP)  # from here on it has messages that it does not acknowledge
            if number == KILL_AFTER:
                victim.send_signal(signal.SIGKILL)
        assert victim.wait(LIMIT_S) == -signal.SIGKILL

        def open_orders() -> int:
            return sum(len(registry.open_orders(name)) for name in TERMINALS)

        until(
            lambda: not open_orders() and registry.count() == sum(terminal.said for terminal in terminals),
            lambda: f"{registry.count()} of {[terminal.said for terminal in terminals]}, {open_orders()} orders open",
        )
        for terminal in terminals:
            kept = [message.claims for message in registry.messages(terminal.name)]
            assert sorted(claims.sequence for claims in kept) == list(range(1, terminal.said + 1))
            details = [claims.text("detail") for claims in kept if claims.kind.name == "event"]
            assert sorted(details, key=int) == [str(number) for number in range(MESSAGES)]
            answers = {sequence for kind, sequence in terminal.received if kind == "answer"}
            assert answers, "no inquiry was answered"
            last = registry.last_sent(terminal.name)
            assert last is not None and last.sequence == max(answers)
            terminal.leave()
        assert len({message.taken_by for message in registry.messages()}) == 3
        assert not any("Traceback" in worker.log.read_text() for worker in workers)


def test_an_order_that_another_process_asks_for_is_sent_by_a_worker_and_its_receipt_is_seen(tmp_path: Path) -> None:
    with acquirer(tmp_path, workers=1) as (office, registry, workers):
        terminal = Terminal(office, registry, "T7")
        command = [sys.executable, "-m", "host_sim.cli", "order", str(office.folder), "T7", "self_test", "plan=daily"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert (done.returncode, done.stdout) == (0, "T7: obeyed\n"), done.stderr
        assert terminal.received == [("order", 1)]
        workers[0].process.send_signal(signal.SIGTERM)
        assert workers[0].process.wait(LIMIT_S) == 0, workers[0].log.read_text()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert (done.returncode, done.stdout) == (0, "T7: obeyed\n"), done.stderr  # by itself, in the seat that was left
        assert terminal.received == [("order", 1), ("order", 2)]
        terminal.leave()


def test_who_watches_is_told_what_holds_already_by_the_broker_or_by_the_registry_of_those_at_work(tmp_path: Path) -> None:
    with acquirer(tmp_path, workers=0) as (office, registry, _):
        terminal = Terminal(office, registry, "T8")
        online = {"mode": "in_service", "status": "OPER", "link": "online", "connection": 1, "reasons": []}
        terminal.say("state", online).wait_for_publish(LIMIT_S)  # nobody has subscribed yet: the broker has it, retained
        command = [sys.executable, "-m", "host_sim.cli", "watch", str(office.folder), "--until", "online", "--limit", str(LIMIT_S)]
        worker = None
        try:
            for _ in range(3):
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)
                # Twice, where the one before ended before it acknowledged.
                assert set(done.stdout.splitlines()) == {"T8: verified state in_service OPER online"}, done.stderr
                assert done.returncode == 0
                if registry.count() and worker is None:
                    worker = Worker(office.folder, tmp_path / "worker.log")
                    until(worker.is_at_work, lambda: "the worker is not at work")
        finally:
            if worker is not None:
                worker.process.kill()
                worker.process.wait()
        terminal.leave()
