"""A terminal and its acquirer for the tests of others: a world of its own in a thread of its own, told and asked from the test's thread.

In real time that world goes on while the test thinks. In simulated time it moves only while a call of the test is under way: between two
calls it stands still, so that no time passes which the test has not asked for, and each run is the same.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from firmware_agent.messages import schema
from firmware_agent.texts import LANGUAGES
from host_sim.acquirer.acquirer import SLOT
from host_sim.boards import boards
from host_sim.brokers import HOST
from host_sim.platform import RealTime, time_of_name
from host_sim.scenarios.looking import STEP_TIMEOUT_S, StepFailed
from host_sim.scenarios.scenario import EXPECTS, Step, load, step_of
from host_sim.scenarios.story import Player
from host_sim.terminal import RUNTIMES, TerminalFailure, runtime_of, runtimes_of
from host_sim.waiting import comes
from host_sim.world import BROKERS, Shop, open_shop, times_of

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
Call = tuple[Coroutine[Any, Any, Any], concurrent.futures.Future[Any]]  # what is to be done, and what comes of it

ALL = "all"
DEFAULT_BOARD, DEFAULT_LANGUAGE = "esp32s3_counter", "en"
# Each wait in the world has its own limit; these are for a world that does not come up, answers no more, or does not end.
UP_S, ANSWER_S, DOWN_S = 120.0, 600.0, 60.0
LOOKED_S = 10.0  # in which a world that answers tells what is to be seen
LINES = 60  # of the log, in a report
HELD_LINES = 5000


class WorldFailure(Exception):
    """The world around a terminal does not come up, does not answer, or does not end; or it is asked for what it has not got."""


@dataclass(frozen=True)
class Kind:
    """Of terminal: board, what its agent runs on, language of its screens; and the time that it and all around it are in."""

    board: str
    runtime: str
    language: str
    time: str

    def __str__(self) -> str:
        return f"{self.board}-{self.runtime}-{self.language}-{self.time}"


def kinds(board: object = "", runtime: object = "", language: object = "", time: object = "", broker: str = BROKERS[0]) -> list[Kind]:
    """What is asked for, each by a word, a list of words, or 'all'; '' for the usual. Raises WorldFailure: there is no such."""
    return [
        Kind(which, on, told, passing)
        for which in _chosen("board", board, boards(), DEFAULT_BOARD)
        for on in _chosen("runtime", runtime, RUNTIMES if runtime != ALL else runtimes_of(which), runtime_of(which))
        for told in _chosen("language", language, LANGUAGES, DEFAULT_LANGUAGE)
        for times in [times_of(which, broker)]
        for passing in _chosen(f"time of {which} with broker {broker}", time, times, times[0])
    ]


def _chosen(what: str, asked: object, allowed: Iterable[str], usual: str) -> list[str]:
    there_are = list(allowed)
    if asked == ALL:
        return there_are
    words = [str(word) for word in (asked if isinstance(asked, (list, tuple)) else [asked or usual])]
    for word in words:
        if word not in there_are:
            raise WorldFailure(f"unknown {what} {word!r}; allowed: {', '.join([*there_are, ALL])}")
    return words


class World:
    """A terminal, its shop, its broker and its acquirer, for as long as it is entered. Raises WorldFailure, TerminalFailure, BrokerFailure.

    pictures: a folder for what is seen when a test has failed.
    """

    def __init__(self, kind: Kind, broker: str, pictures: Path) -> None:
        self.kind = kind
        self.time = time_of_name(kind.time)
        self.log: list[str] = []  # what all of them said and did, with the seconds of its time since the beginning
        self._broker = broker
        self._pictures = pictures
        self._logger = logging.getLogger("reinstate")
        self._began_ms = self.time.now_ms()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()  # in simulated time; None: there is no more
        self._thread = threading.Thread(target=self._turn, name=f"reinstate {kind}", daemon=True)
        self._is_up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._life: concurrent.futures.Future[None] = concurrent.futures.Future()

    def __enter__(self) -> World:
        with contextlib.ExitStack() as on_failure:
            self._thread.start()
            on_failure.callback(self._stop)
            self._wait_for(self._is_up, UP_S, "does not come up")
            on_failure.pop_all()
        self.terminal = Terminal(self)
        self.acquirer = AcquirerSide(self)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self._life.done():
                self._calls.put(None)
                self._loop.call_soon_threadsafe(self._left.set)
                self._wait_for(self._life, DOWN_S, "does not end")
            self._life.result()
        finally:
            self._stop()

    def _stop(self) -> None:
        """It has ended, or has to: whatever it is at."""
        if not self._life.done():
            self._calls.put(None)
            self._loop.call_soon_threadsafe(self._program.cancel)
        self._thread.join(DOWN_S)

    def call(self, work: Coroutine[Any, Any, T], limit_s: float = ANSWER_S) -> T:
        """Have it done there, and wait for what it gives. Raises what it raises; WorldFailure."""
        __tracebackhide__ = True
        if self._life.done():
            work.close()
            raise WorldFailure(f"the world of {self.kind} has ended")
        done = self._begun(work)
        try:
            self._wait_for(done, limit_s, "does not answer")
            return done.result()
        finally:
            done.cancel()  # whoever waits no more, as at Ctrl-C, wants nothing done

    def _begun(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        if isinstance(self.time, RealTime):
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._calls.put((work, done))
        return done

    def _wait_for(self, future: concurrent.futures.Future[Any], limit_s: float, otherwise: str) -> None:
        """limit_s: of real time; in simulated time, in which that stands still: a long one may take long."""
        while True:
            at_ms = self.time.now_ms()
            concurrent.futures.wait([future, self._life], limit_s, concurrent.futures.FIRST_COMPLETED)
            if future.done():
                return
            if self._life.done():
                break
            if isinstance(self.time, RealTime) or self.time.now_ms() == at_ms:
                raise WorldFailure(f"the world of {self.kind} {otherwise} for {limit_s:g} s")
        if not self._life.cancelled():
            self._life.result()
        raise WorldFailure(f"the world of {self.kind} has ended")

    def evidence(self, name: str) -> list[tuple[str, str]]:
        """What a person sees now, and what was said last, as headings with texts; pictures of it under this name, if it still goes on."""
        told = [("Terminal: end of the log", "\n".join(self.log[-LINES:]))]
        try:
            lines, pictures = self.call(self._look(), LOOKED_S)
        except WorldFailure as error:
            return [("Terminal", str(error)), *told]
        self._pictures.mkdir(parents=True, exist_ok=True)
        files = [self._pictures / f"{name}-{what}.png" for what in pictures]
        for file, picture in zip(files, pictures.values(), strict=True):
            picture.save(file)
        return [("Terminal: display", "\n".join([*lines, "", *map(str, files)])), *told]

    # In its own thread.

    def _turn(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self.time.run(self._run())
        finally:
            if not self._life.done():  # it has not even begun
                self._life.cancel()
                self._life.set_running_or_notify_cancel()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = asyncio.Event()
        self._program = asyncio.ensure_future(self._live())
        await asyncio.wait([self._program])
        _hand_over(self._program, self._life)

    async def _look(self) -> tuple[list[str], dict[str, Image.Image]]:
        return _seen(self.shop)

    async def _live(self) -> None:
        # The sockets' paths have to be short: not in the folder that pytest gives.
        with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
            self.folder = Path(folder)
            kind = self.kind
            async with open_shop(
                self.folder,
                board=kind.board,
                runtime=kind.runtime,
                language=kind.language,
                broker=self._broker,
                tell=self._tell,
                time=self.time,
            ) as self.shop:
                self.player = Player(self.shop)
                self._is_up.set_result(None)
                if isinstance(self.time, RealTime):
                    await self._left.wait()
                else:
                    await self._serve()

    async def _serve(self) -> None:
        """Do what the test calls for, one after the other. While it calls for nothing it is at work, and the whole loop waits for it."""
        loop = asyncio.get_running_loop()
        while (call := self._calls.get()) is not None:
            work, done = call
            task = asyncio.create_task(work)
            done.add_done_callback(lambda _, task=task: loop.call_soon_threadsafe(task.cancel))  # type: ignore[misc]
            await asyncio.wait([task])
            _hand_over(task, done)

    def _tell(self, who: str, what: str) -> None:
        line = f"{(self.time.now_ms() - self._began_ms) / 1000:8.3f} s  {who:<9} {what}"
        self.log.append(line)
        del self.log[:-HELD_LINES]
        self._logger.info("%s", line)


def _hand_over(task: asyncio.Task[T], done: concurrent.futures.Future[T]) -> None:
    """What came of the task, to whoever waits for it in another thread, if anybody still does."""
    if task.cancelled():
        done.cancel()
    if done.set_running_or_notify_cancel():
        error = task.exception()
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(task.result())


class Terminal:
    """The terminal of a world. It is off, and provisioned: it is a terminal that an installer has just left."""

    def __init__(self, world: World) -> None:
        self._world = world

    def do(self, verb: str, argument: object = None, /, **named: object) -> None:
        """A verb of scenarios that does something (docs/simulation.md): do("press", "1"), do("order", action="lift", reason="dormant").

        Raises StepFailed: it cannot be done; ScenarioError: there is no such; TerminalFailure: the terminal ended by itself.
        """
        __tracebackhide__ = True
        self._carry_out(step_of(verb, _argument(argument, named)))

    def expect(self, what: str, argument: object = None, /, **named: object) -> None:
        """Wait for it: what a scenario writes as `expect_page: idle` is expect("page", "idle"). Raises as `do`."""
        __tracebackhide__ = True
        self._carry_out(step_of(EXPECTS + what, _argument(argument, named)))

    def play(self, scenario: Path) -> None:
        """Do the steps of a scenario file; its board and language are those that this terminal has. Raises as `do`."""
        __tracebackhide__ = True
        for step in load(scenario).steps:
            if not step.device or self.has(step.device):
                self._carry_out(step, f"{scenario}:{step.line}: ")

    def until(self, holds: Callable[[Shop], bool], what: str, limit_s: float = STEP_TIMEOUT_S) -> None:
        """Wait until it holds: for what no verb waits for. Asked in the world's thread. Raises StepFailed with `what`."""
        __tracebackhide__ = True
        self._settle(self._until(holds, what, limit_s))

    def ask(self, question: Callable[[Shop], T]) -> T:
        """The answer of a function that is handed the shop (host_sim/world.py) in the world's thread: nothing changes meanwhile."""
        __tracebackhide__ = True
        return self._world.call(_answer(question, self._world.shop))

    def has(self, device: str) -> bool:
        return self.ask(lambda shop: device in shop.terminal.chips)

    @property
    def screen(self) -> list[str]:
        """The lines on the display, read from its pixels."""
        return self.ask(lambda shop: shop.terminal.screen())

    @property
    def slip(self) -> list[str]:
        """The lines of the last slip, read from its dots."""
        return self.ask(lambda shop: shop.terminal.slip())

    @property
    def lines(self) -> list[str]:
        """What its program said on the console so far."""
        return self.ask(lambda shop: list(shop.terminal.lines))

    @property
    def state(self) -> dict[str, Any]:
        """As its acquirer has verified it last; {} before the first."""
        return self.ask(lambda shop: shop.account.state)

    def picture(self) -> Image.Image:
        """Of the display, pixel by pixel."""
        picture: Image.Image = self.ask(lambda shop: shop.terminal.chips["display"].picture())
        return picture

    def check(self) -> None:
        """Raises TerminalFailure if its program has ended by itself, as by an error that no fault was to cause."""
        __tracebackhide__ = True
        self._settle(self._check())

    def _carry_out(self, step: Step, where: str = "") -> None:
        __tracebackhide__ = True
        self._settle(self._world.player.do(step), f"{where}{step}: ")

    def _settle(self, work: Coroutine[Any, Any, None], what: str = "") -> None:
        """What goes wrong is told of the test's line, not of the world's insides."""
        __tracebackhide__ = True
        try:
            self._world.call(work)
        except (StepFailed, TerminalFailure) as error:
            raise type(error)(f"{what}{error}") from None

    async def _check(self) -> None:
        self._world.shop.check()

    async def _until(self, holds: Callable[[Shop], bool], what: str, limit_s: float) -> None:
        shop = self._world.shop
        if not await comes(lambda: holds(shop), limit_s, shop.check):
            raise StepFailed(f"did not come in {limit_s:g} s: {what}")


@dataclass(frozen=True)
class Mandate:
    """What a back end needs to speak as the acquirer. acquirer, terminal: their names in the topics; sequence: of the last message to the
    terminal; signing_key: the acquirer's, whose messages the terminal obeys; the other files are for TLS, all of them PEM; terminal_key:
    its public key, 64 bytes x || y.
    """

    acquirer: str
    terminal: str
    sequence: int
    host: str
    port: int
    authority: Path
    certificate: Path
    private_key: Path
    signing_key: Path
    terminal_key: bytes


class AcquirerSide:
    """The acquirer of a world, and its broker. What it tells of the terminal it has verified."""

    def __init__(self, world: World) -> None:
        self._world = world

    def topic(self, kind: str) -> str:
        """On which that kind of message goes to, or comes from, the terminal."""
        shop = self._world.shop
        return schema.topic(shop.acquirer.name, shop.name, schema.kind_named(kind).leaf)

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """What the terminal said in verified messages of that kind, the oldest first; kinds and fields as in docs/wire-format.md."""
        schema.kind_named(kind)
        return self._ask(lambda shop: [kept.claims.body for kept in shop.acquirer.registry.messages(shop.name, (kind,))])

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Messages that it refused: topic, and why."""
        return self._ask(lambda shop: list(shop.acquirer.refused))

    def send(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Sign a message with these fields, send it, and wait for the terminal's receipt: that is what is given. Raises StepFailed."""
        __tracebackhide__ = True
        return self._world.call(self._send(kind, fields))

    def publish(self, topic: str, message: bytes) -> None:
        """Publish these bytes as they are, as the acquirer. Raises LinkError: the broker does not take them."""
        __tracebackhide__ = True
        self._world.call(self._world.shop.acquirer.publish(topic, message))

    def receipt_of(self, message: bytes) -> dict[str, Any]:
        """Wait for the terminal's receipt for these bytes, whoever sent them; with `refusal` where it did not obey. Raises StepFailed."""
        __tracebackhide__ = True
        name = sha256(message).digest()[:16]
        self._world.terminal.until(
            lambda shop: any(receipt["of"] == name for receipt in shop.account.receipts), "a receipt for the message"
        )
        return next(receipt for receipt in self.messages("receipt") if receipt["of"] == name)

    def hand_over(self, folder: Path) -> Mandate:
        """From now on this acquirer listens and verifies, and another back end speaks in its name: the one that is to be tested. Its keys
        are put into the folder. Raises WorldFailure in simulated time.
        """
        __tracebackhide__ = True
        if not isinstance(self._world.time, RealTime):
            raise WorldFailure("another back end has a clock of its own, which simulated time does not wait for: this test takes time real")
        return self._world.call(self._hand_over(folder))

    def _ask(self, question: Callable[[Shop], T]) -> T:
        __tracebackhide__ = True
        return self._world.call(_answer(question, self._world.shop))

    async def _send(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        shop = self._world.shop
        if not shop.acquirer.speaks:
            raise StepFailed("another back end speaks for this acquirer: let it send")
        number = await shop.acquirer.send(kind, shop.name, fields)
        try:
            return await shop.acquirer.receipt_of(shop.name, number, STEP_TIMEOUT_S)
        except TimeoutError:
            raise StepFailed(f"no receipt for {kind} {fields} in {STEP_TIMEOUT_S:g} s") from None

    async def _hand_over(self, folder: Path) -> Mandate:
        shop = self._world.shop
        acquirer = shop.acquirer
        acquirer.speaks = False
        tls = shop.authority.client(acquirer.name)
        files = {
            "authority": shop.authority.certificate_pem,
            "certificate": tls.certificate_pem,
            "private_key": tls.private_key_pem,
            "signing_key": _signing_key(self._world.folder / "acquirer"),
        }
        folder.mkdir(parents=True, exist_ok=True)
        paths = {}
        for name, content in files.items():
            paths[name] = folder / f"{name}.pem"
            paths[name].touch(mode=0o600)
            paths[name].write_bytes(content)
        return Mandate(
            acquirer.name, shop.name, shop.account.sequence, HOST, shop.broker.port, **paths, terminal_key=shop.account.public_key
        )


def _signing_key(folder: Path) -> bytes:
    """As PEM, of a secure element in software (hal/drivers/software_key.py has the form of its files)."""
    newest = max(folder.glob(f"key.{SLOT}.*"), key=lambda file: int(file.suffix[1:]))
    key = ec.derive_private_key(int.from_bytes(newest.read_bytes()[2:34], "big"), ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _seen(shop: Shop) -> tuple[list[str], dict[str, Image.Image]]:
    """The text on the display; pictures of the display, and of the slip where there is one."""
    chips = shop.terminal.chips
    pictures = {"display": chips["display"].picture()}
    if "printer" in chips and chips["printer"].last_slip().items:
        pictures["slip"] = chips["printer"].last_slip().picture()
    return shop.terminal.screen(), pictures


async def _answer(question: Callable[[Shop], T], shop: Shop) -> T:
    return question(shop)


def _argument(argument: object, named: dict[str, object]) -> object:
    """As it stands in a scenario, where yes and no are words."""
    if named:
        return {name: _word(value) for name, value in named.items()}
    return _word(argument)


def _word(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
