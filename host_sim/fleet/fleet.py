"""A run of a fleet: a broker, an acquirer with its workers, and the terminals; what is done to them; and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import secrets
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from firmware_agent.identity.certificate import CertificateError, validity
from firmware_agent.messages.courier import GOOD_CONNECTION_MS
from hal.resolver import resolve
from host_sim.acquirer.office import Office
from host_sim.acquirer.registry import Registry
from host_sim.brokers import MosquittoBroker, free_port
from host_sim.fleet.ledger import Ledger
from host_sim.fleet.member import Member, enrolled
from host_sim.fleet.worker import AT_WORK, REFUSED
from host_sim.pki import TestAuthority
from host_sim.uplink import Uplink

OWN_BROKER_HOST = "localhost"
MQTTS_PORT = 8883
DAYS = 2  # until the certificates of a run end
MOST_TERMINALS = 10000  # their numbers have five digits
# An agent looks twenty times a second whether there is something to send, or to show. Of a thousand that alone is more than a processor can
# do; so the more there are, the coarser are their boards' timers: half a millisecond for each terminal, and half a second at most.
MOST_WAIT_MS = 500
STARTS_PER_S = 20  # unless told: a start costs both sides a handshake, and the acquirer some ten messages
SEAT_LIMIT_S = 30.0  # for a worker to be at work
ONLINE_LIMIT_S = 180.0  # for the last to be online, after it was started
DRAIN_LIMIT_S = 120.0  # for what is under way at the end to arrive
STOP_LIMIT_S = 30.0
LOOK_S = 0.05  # how often the store is looked at: what a latency is exact to
TOLD_S = 5.0  # how often progress is told
WAIT_S = 0.1
FILES_EACH = 3  # that a terminal has open: its connection, the font, the texts
FILES_RELAYED = 3  # further ones of a terminal behind a relay
FILES_BESIDE = 256

Tell = Callable[[str], None]


class FleetError(Exception):
    """What is wrong with what was asked for, or with what has to be there for it, in one line."""


@dataclass(frozen=True)
class Plan:
    """terminals: how many; seconds: from when all are online; every: so often each reports; start_over: in which they are started, 0 for
    STARTS_PER_S; workers: processes of the acquirer; name: the acquirer's, in topics. broker: URL, '' for one of the fleet's own;
    authority: file with key and certificate of who issues its clients' certificates; ca: with the certificate of who issued its own.
    restart_after, storm_after: seconds from when all are online; slow, lossy: percent of the terminals. keep: folder for the acquirer's
    store and the logs.
    """

    terminals: int
    seconds: float = 60.0
    every: float = 20.0
    start_over: float = 0.0
    workers: int = 1
    name: str = "acq1"
    broker: str = ""
    authority: Path | None = None
    ca: Path | None = None
    restart_after: float | None = None
    storm_after: float | None = None
    slow: int = 0
    lossy: int = 0
    keep: Path | None = None

    def check(self) -> None:
        """Raises FleetError."""
        if not 1 <= self.terminals <= MOST_TERMINALS:
            raise FleetError(f"-n {self.terminals}: 1 to {MOST_TERMINALS} terminals")
        for option, value in (("--seconds", self.seconds), ("--every", self.every), ("--workers", self.workers)):
            if value <= 0:
                raise FleetError(f"{option} {value:g}: more than 0 is wanted")
        for option, after in (("--restart-broker-after", self.restart_after), ("--storm", self.storm_after)):
            if after is not None and not 0 <= after < self.seconds:
                raise FleetError(f"{option} {after:g}: from 0 to less than the {self.seconds:g} s of --seconds")
        if self.slow + self.lossy > 100:
            raise FleetError(f"--slow {self.slow} and --lossy {self.lossy}: at most 100 percent together")
        if not self.name.isalnum():
            raise FleetError(f"--name {self.name!r}: letters and digits only, for it stands in topics")
        if not self.broker:
            if self.authority is not None or self.ca is not None:
                raise FleetError("--authority and --ca are for a --broker; the fleet's own makes them itself")
            return
        broker_of(self.broker)
        if self.authority is None and self.ca is None:
            raise FleetError("--broker needs --authority FILE, or --ca FILE where it asks for no certificates of its clients")
        if self.restart_after is not None or self.slow or self.lossy:
            raise FleetError("--restart-broker-after, --slow and --lossy are for the fleet's own broker, without --broker")


def broker_of(url: str) -> tuple[str, int]:
    """Host and port of mqtts://host:port. Raises FleetError."""
    parts = urlsplit(url)
    try:
        port = parts.port or MQTTS_PORT
    except ValueError:
        port = 0
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username or "")
    if parts.scheme != "mqtts" or not parts.hostname or not port or any(rest):
        raise FleetError(f"--broker {url!r}: mqtts://HOST:PORT is wanted, as mqtts://broker.example:8883; terminals speak TLS only")
    return parts.hostname, port


async def run(plan: Plan, tell: Tell) -> dict[str, Any]:
    """The report of one run; its key `holds`: everything arrived, exactly once. tell: takes a line of progress. Raises FleetError,
    BrokerFailure, OfficeError.
    """
    plan.check()
    _allow_files(plan)
    if plan.keep is not None:
        return await _run_in(plan.keep, plan, tell)
    with tempfile.TemporaryDirectory(prefix="reinstate-fleet-") as folder:
        return await _run_in(Path(folder) / "acquirer", plan, tell)


async def _run_in(folder: Path, plan: Plan, tell: Tell) -> dict[str, Any]:
    memory_kib = _memory_kib()
    host, port = broker_of(plan.broker) if plan.broker else (OWN_BROKER_HOST, free_port())
    office = await _office(folder, plan, host, port)
    ca = _certificate(plan.ca) if plan.ca is not None else office.authority.certificate_der
    async with contextlib.AsyncExitStack() as stack:
        broker = None
        if not plan.broker:
            broker = MosquittoBroker(folder / "broker", office.authority, office.name)
            broker.port = port
            await broker.start()
            stack.push_async_callback(broker.stop)
            tell(f"broker at {host}:{port}")
        ports = await _ports(stack, plan, port)
        registry = Registry(office.registry_url)
        stack.callback(registry.close)
        workers = _Workers(folder, plan.ca is not None)
        await workers.start(plan.workers, ca)
        stack.push_async_callback(workers.stop)
        fleet = _Fleet(plan, Ledger(plan.terminals), registry, tell)
        begun = time.monotonic()
        await fleet.enrol(office, host, ports, ca)
        setup_s = time.monotonic() - begun
        stack.push_async_callback(fleet.stop)
        start_s = await fleet.start()
        gc.freeze()  # what a thousand terminals are made of is not looked through for garbage again and again
        stack.callback(gc.unfreeze)
        await fleet.play(broker, workers)
        fleet.ledger.redelivered = registry.duplicates()
        report = {"terminals": plan.terminals, "broker": plan.broker or "own"} | fleet.ledger.document()
        grown_kib = _memory_kib() - memory_kib
    return report | {
        "holds": fleet.ledger.holds,
        "seconds": plan.seconds,
        "setup_s": round(setup_s, 1),
        "start_s": round(start_s, 1),
        "memory_kib_per_terminal": round(grown_kib / plan.terminals),
        "cpu_s": {"terminals": _cpu_s(resource.RUSAGE_SELF), "broker_and_workers": _cpu_s(resource.RUSAGE_CHILDREN)},
    }


class _Fleet:
    """The terminals of a run, what they are told to do, and what is seen of them in the acquirer's registry."""

    def __init__(self, plan: Plan, ledger: Ledger, registry: Registry, tell: Tell) -> None:
        self.ledger = ledger
        self._plan = plan
        self._registry = registry
        self._tell = tell
        self._seen = 0  # id of the last message that was seen in the registry
        self._mark = secrets.token_hex(2).upper()  # a broker may still have states and sessions of another run
        self._members: list[Member] = []
        self._at_work: list[asyncio.Task[None]] = []

    async def enrol(self, office: Office, host: str, ports: Sequence[int], ca: bytes) -> None:
        """Make the terminals. ports: of the broker, for each of them."""
        try:
            address = await asyncio.to_thread(resolve, host)  # once: each terminal would ask for it at each connection
        except OSError as error:
            raise FleetError(f"{host} has no address: {error.strerror}") from error
        acquirer = await office.acquirer()
        wait_ms = min(MOST_WAIT_MS, len(ports) // 2)
        for number, port in enumerate(ports):
            name = f"F{self._mark}{number:05}"
            self._members.append(await enrolled(name, acquirer, (address, port, host), ca, wait_ms, self.ledger))
        acquirer.registry.close()

    async def start(self) -> float:
        """Start them one after the other; gives how long it took until all were online. Raises FleetError: some never were."""
        plan = self._plan
        begun = time.monotonic()
        over_s = plan.start_over or plan.terminals / STARTS_PER_S
        self._work(self._watch_store())
        self._work(self._tell_progress(begun))
        for number, member in enumerate(self._members):
            await asyncio.sleep(begun + over_s * number / plan.terminals - time.monotonic())
            self._work(member.run())
        if not await self._until(lambda: all(member.is_ready for member in self._members), ONLINE_LIMIT_S):
            online = sum(member.is_online for member in self._members)
            why = f": {self.ledger.troubles[0]}" if self.ledger.troubles else ""
            raise FleetError(f"{online} of {plan.terminals} terminals are online after {over_s + ONLINE_LIMIT_S:g} s{why}")
        took_s = time.monotonic() - begun
        self._tell(f"all {plan.terminals} online after {took_s:.1f} s")
        return took_s

    async def play(self, broker: MosquittoBroker | None, workers: _Workers) -> None:
        """Have them report, do to them what the plan says, and wait until all that was said has arrived."""
        plan = self._plan
        begun = time.monotonic()
        reporters = [
            asyncio.create_task(self._report(member, begun + plan.every * number / plan.terminals, begun + plan.seconds))
            for number, member in enumerate(self._members)
        ]
        faults: list[tuple[float, str]] = []
        if plan.restart_after is not None:
            faults.append((plan.restart_after, "broker restart"))
        if plan.storm_after is not None:
            faults.append((plan.storm_after, "storm"))
        for after, cause in sorted(faults):
            await asyncio.sleep(begun + after - time.monotonic())
            self._tell(f"{cause}: all {plan.terminals} connections are cut")
            self.ledger.broke(cause, time.monotonic())
            if cause == "storm":
                for member in self._members:
                    member.cut()
            elif broker is not None:
                await broker.restart()
        await asyncio.sleep(begun + plan.seconds - time.monotonic())
        await asyncio.gather(*reporters)
        if not await self._until(self._is_settled, DRAIN_LIMIT_S):
            self._tell(f"not all has arrived within {DRAIN_LIMIT_S:g} s")
        self._look_at_store()
        self.ledger.refused += workers.refused(self._mark)
        self.ledger.given_up = sum(member.waiting + member.given_up for member in self._members)

    async def stop(self) -> None:
        """End the terminals, each in order."""
        for task in self._at_work:
            task.cancel()
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=STOP_LIMIT_S)

    def _is_settled(self) -> bool:
        self._look_at_store()
        if self.ledger.underway:
            return False
        return all(member.is_online and not member.waiting for member in self._members)

    async def _report(self, member: Member, at: float, until: float) -> None:
        """Have one of them report from time to time."""
        while at < until:
            await asyncio.sleep(at - time.monotonic())
            try:
                await member.report()
            except TimeoutError:
                self.ledger.trouble(f"{member.name}: its self-test does not end")
                return
            at += self._plan.every

    async def _watch_store(self) -> None:
        while True:
            self._look_at_store()
            await asyncio.sleep(LOOK_S)

    def _look_at_store(self) -> None:
        for number, terminal, boot, sequence, kind in self._registry.noted(self._seen):
            self._seen = number
            self.ledger.kept((terminal, boot, sequence), kind, time.monotonic())

    async def _tell_progress(self, begun: float) -> None:
        while True:
            await asyncio.sleep(TOLD_S)
            online = sum(member.is_online for member in self._members)
            waiting = sum(member.waiting for member in self._members)
            ledger = self.ledger
            self._tell(
                f"{time.monotonic() - begun:5.0f} s  {online} online, {ledger.published} published, {ledger.delivered} delivered, "
                f"{waiting + ledger.underway} under way"
            )

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        """In the background, until `stop`. What ends it by a defect is told."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._at_work.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.ledger.trouble(f"{type(error).__name__}: {error}")

    async def _until(self, holds: Callable[[], bool], limit_s: float) -> bool:
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(WAIT_S)
        return True


class _Workers:
    """The acquirer's workers, each a process. folder: the acquirer's."""

    def __init__(self, folder: Path, has_ca: bool) -> None:
        self._folder = folder
        self._has_ca = has_ca
        self._begun: list[tuple[asyncio.subprocess.Process, Path]] = []

    async def start(self, count: int, ca: bytes) -> None:
        """They are at work when this returns. Raises FleetError."""
        command = [sys.executable, "-m", "host_sim.fleet.worker", str(self._folder)]
        if self._has_ca:
            file = self._folder / "broker-ca.der"
            file.write_bytes(ca)
            command += ["--ca", str(file)]
        if count == 1:
            command.append("--alone")
        for number in range(count):
            log = self._folder / f"worker{number + 1}.log"
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=Path(__file__).parents[2]
                )
            self._begun.append((process, log))
        end = time.monotonic() + SEAT_LIMIT_S
        for process, log in self._begun:
            while AT_WORK not in (said := log.read_text(errors="replace")).splitlines():
                if process.returncode is not None or time.monotonic() > end:
                    await self.stop()
                    raise FleetError(f"a worker of the acquirer does not come to work: {(said.strip().splitlines() or ['no word'])[-1]}")
                await asyncio.sleep(WAIT_S)

    def refused(self, mark: str) -> int:
        """How many messages they say that they have refused, of terminals with that in their names."""
        lines = [line for _, log in self._begun for line in log.read_text(errors="replace").splitlines()]
        return sum(line.startswith(REFUSED) and mark in line for line in lines)

    async def stop(self) -> None:
        for process, _ in self._begun:
            if process.returncode is None:
                process.terminate()
        for process, _ in self._begun:
            try:
                await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _office(folder: Path, plan: Plan, host: str, port: int) -> Office:
    """The acquirer of this run, in its folder. Raises OfficeError, FleetError."""
    authority = b""
    if plan.authority is not None:
        try:
            authority = TestAuthority.loaded(plan.authority.read_bytes()).saved()
        except OSError as error:
            raise FleetError(f"--authority {plan.authority}: {error.strerror}") from error
        except ValueError as error:
            raise FleetError(f"--authority {plan.authority}: a P-256 key and its certificate are wanted, PEM in one file") from error
    office = await Office.found(folder, plan.name, host, port, DAYS)
    if authority:
        (folder / "authority.pem").write_bytes(authority)
        office = Office(folder)
    return office


def _certificate(file: Path) -> bytes:
    """In DER. Raises FleetError."""
    try:
        content = file.read_bytes()
        der = (
            ssl.PEM_cert_to_DER_cert(content[content.index(b"-----BEGIN CERTIFICATE") :].decode()) if b"-----BEGIN" in content else content
        )
        validity(der)
    except OSError as error:
        raise FleetError(f"--ca {file}: {error.strerror}") from error
    except (ValueError, CertificateError) as error:
        raise FleetError(f"--ca {file}: one certificate is wanted, PEM or DER") from error
    return der


async def _ports(stack: contextlib.AsyncExitStack, plan: Plan, port: int) -> list[int]:
    """Where each terminal finds the broker: some behind a relay that is slow, or loses something."""
    shares = {"slow": plan.terminals * plan.slow // 100, "lossy": plan.terminals * plan.lossy // 100}
    ports: list[int] = []
    for fault, count in shares.items():
        if count:
            relay = await stack.enter_async_context(_relay(port))
            relay.fault(fault)
            ports += [relay.port] * count
    return ports + [port] * (plan.terminals - len(ports))


@contextlib.asynccontextmanager
async def _relay(port: int) -> AsyncIterator[Uplink]:
    relay = Uplink(port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


def hints(plan: Plan) -> list[str]:
    """What whoever asks for this should know before."""
    good_s = GOOD_CONNECTION_MS / 1000
    told = []
    for option, after in (("--restart-broker-after", plan.restart_after), ("--storm", plan.storm_after)):
        if after is not None and after < good_s:
            told.append(f"{option} {after:g}: a connection of less than {good_s:g} s is tried again within a second, as one that was bad")
    return told


def _allow_files(plan: Plan) -> None:
    """As many open files as all terminals together have; the broker inherits it. Raises FleetError."""
    relayed = plan.terminals * (plan.slow + plan.lossy) // 100
    needed = FILES_EACH * plan.terminals + FILES_RELAYED * relayed + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FleetError(f"{plan.terminals} terminals need {needed} open files, and this shell allows {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _memory_kib() -> int:
    """The most that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def _cpu_s(whose: int) -> float:
    used = resource.getrusage(whose)
    return round(used.ru_utime + used.ru_stime, 1)
