"""The desktop simulator's server on a port of loopback, in a thread of its own, and who asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from host_sim.desktop.server import listening, serving
from host_sim.desktop.session import Session
from host_sim.desktop.state_folder import opened

T = TypeVar("T")
LIMIT_S = 90.0  # a machine that is busy takes its time
LOOK_S = 0.03


class Desk:
    """client: asks the server; session: what it serves, of which its own thread may use all (`call`)."""

    def __init__(self, session: Session, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.session = session
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_S)
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """In the server's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    def terminal(self, board: str = "esp32s3_counter", runtime: str = "cpython", language: str = "en") -> OneTerminal:
        answer = self.client.post("/api/terminals", json={"board": board, "runtime": runtime, "language": language})
        assert answer.status_code == 201, answer.text
        return OneTerminal(self, answer.json()["terminal"]["id"])

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """One that listens to what happens."""
        with self.client.stream("GET", "/api/live") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Page(answer.iter_lines())


class Page:
    """numbers: of the events that came so far."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.numbers: list[int] = []

    def next(self) -> tuple[str, dict[str, Any]]:
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
            elif "event" in fields:
                self.numbers.append(int(fields["id"]))
                return fields["event"], json.loads(fields["data"])
        raise AssertionError("the stream has ended")

    def until(self, name: str, holds: Callable[[dict[str, Any]], bool] = lambda data: True) -> dict[str, Any]:
        """The next event of that name for which it holds."""
        while True:
            event, data = self.next()
            if event == name and holds(data):
                return data


class OneTerminal:
    """Whoever stands before it."""

    def __init__(self, desk: Desk, number: str) -> None:
        self.desk = desk
        self.id = number
        self.path = f"/api/terminals/{number}"

    def get(self, path: str = "") -> httpx.Response:
        return self.desk.client.get(self.path + path)

    def try_to(self, verb: str, argument: Any = None) -> httpx.Response:
        return self.desk.client.post(self.path + "/steps", json={"verb": verb} | ({} if argument is None else {"argument": argument}))

    def do(self, verb: str, argument: Any = None) -> None:
        answer = self.try_to(verb, argument)
        assert (answer.status_code, answer.json()) == (200, {}), f"{verb} {argument}: {answer.status_code} {answer.text}"

    def messages(self, after: int = 0, **facts: object) -> list[dict[str, Any]]:
        """after: number of the last one that is not of interest."""
        return [message for message in self.get("/messages").json() if message["number"] > after and facts.items() <= message.items()]

    @property
    def newest(self) -> int:
        """Number of the last message, 0 for none."""
        return max((message["number"] for message in self.messages()), default=0)

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.get().json()
        return document

    def account(self) -> dict[str, Any]:
        account: dict[str, Any] = self.document()["account"]
        return account

    def until(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end, f"did not come: {what}; {self.get('/screen').json()}"
            time.sleep(LOOK_S)

    def sees(self, page: str) -> None:
        self.until(lambda: self.get("/screen").json()["page"] == page, f"page {page}")

    def starts(self) -> None:
        self.do("boot")
        self.sees("idle")
        self.until(lambda: self.account()["online"], "online")

    @property
    def on_the_bench(self) -> Any:
        """The chips of the device in hand, by their kinds."""
        return self.desk.session.terminals[self.id].terminal.chips


@contextlib.contextmanager
def desk(broker: str = "embedded", state: Path | None = None) -> Iterator[Desk]:
    """A server without terminals, or with those that lie in `state`."""
    begun: list[Desk] = []
    ready, leave = threading.Event(), asyncio.Event()

    async def serve(folder: Path) -> None:
        defaults = {"board": "esp32s3_counter", "runtime": "cpython", "language": "en"}
        with contextlib.closing(listening(0)) as listener, opened(folder) as state:
            session = Session(state, broker=broker, defaults=defaults)
            async with session.running(), serving(session, listener) as server:
                begun.append(Desk(session, listener.getsockname()[1], asyncio.get_running_loop()))
                ready.set()
                await leave.wait()
                server.end()

    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        thread = threading.Thread(target=lambda: asyncio.run(serve(state or Path(folder))))
        thread.start()
        try:
            assert ready.wait(LIMIT_S)
            (served,) = begun
            with served.client:
                yield served
        finally:
            if begun:
                begun[0]._loop.call_soon_threadsafe(leave.set)
            thread.join(LIMIT_S)
            assert not thread.is_alive()
