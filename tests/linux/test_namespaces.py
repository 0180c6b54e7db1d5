"""The part `interface` in network namespaces: whatever is wrong with a real link is named by the walk, and mended without a restart."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host_sim.platform import RealTime
from host_sim.provision import BROKER_HOST, provision
from tests.links.path_side import hal_in
from tests.links.support import ROOT
from tests.links.test_path_faults import World
from tests.linux.namespace_side import QUICK_MS, THIS_YEAR

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("iproute2"), pytest.mark.needs("mosquitto")]

INTERFACE = "eth0"  # as the terminal calls it
LIMIT_S = 60
FAR = "198.18.0.0"  # of the block for tests of networks (RFC 2544)


def ip(*arguments: str) -> str:
    """Raises RuntimeError with what ip said."""
    ended = subprocess.run(("ip", *arguments), capture_output=True, text=True, timeout=20, check=False)
    if ended.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {ended.stderr.strip()}")
    return ended.stdout


class Line:
    """A namespace with one cable to this machine, a gateway, a name, and beyond the gateway the address at which the broker answers.

    near, gateway: the cable's ends; far: the broker's address.
    """

    def __init__(self) -> None:
        self.namespace = "rt" + uuid.uuid4().hex[:9]
        self.plug = self.namespace + "p"  # this machine's end
        block = uuid.uuid4().int
        self._net = f"198.18.{block % 250}.{block // 250 % 60 * 4}".rsplit(".", 1)
        self.gateway, self.near = self._host(1), self._host(2)
        self.far = f"198.19.{block // 16384 % 250}.{block // 4194304 % 250}"
        self.etc = Path("/etc/netns") / self.namespace

    def _host(self, number: int) -> str:
        return f"{self._net[0]}.{int(self._net[1]) + number}"

    def lay(self) -> None:
        ip("netns", "add", self.namespace)
        self.inside("link", "set", "lo", "up")
        self.etc.mkdir(parents=True)
        (self.etc / "resolv.conf").write_text(f"nameserver {self.gateway}\noptions timeout:1 attempts:1\n")
        self.name_known(True)
        self.plug_in()

    def remove(self) -> None:
        """All that was made, whatever came of it."""
        with contextlib.suppress(RuntimeError):  # goes with the namespace
            ip("link", "del", self.plug)
        if self.namespace in ip("netns", "list"):
            ip("netns", "del", self.namespace)
        shutil.rmtree(self.etc, ignore_errors=True)

    def inside(self, *arguments: str) -> str:
        return ip("-n", self.namespace, *arguments)

    def plug_in(self) -> None:
        ip("link", "add", self.plug, "type", "veth", "peer", "name", INTERFACE, "netns", self.namespace)
        ip("addr", "add", f"{self.gateway}/30", "dev", self.plug)
        ip("addr", "add", f"{self.far}/32", "dev", self.plug)
        ip("link", "set", self.plug, "up")
        self.inside("link", "set", INTERFACE, "up")
        self.configure()

    def configure(self) -> None:
        self.inside("addr", "add", f"{self.near}/30", "dev", INTERFACE)
        self.route()

    def route(self) -> None:
        self.inside("route", "add", "default", "via", self.gateway)

    def name_known(self, known: bool) -> None:
        """In place: the terminal sees this very file."""
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n" + (f"{self.far} {BROKER_HOST}\n" if known else ""))


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    try:
        line.lay()
        yield line
    finally:
        line.remove()


Change = Callable[[Line], None]


class Terminal:
    """A child process inside the namespace."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str) -> list[Any]:
        """(outcome, cause, error, measurements, detail)"""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        answer: list[Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def ready(self) -> None:
        assert self._process.stdout is not None
        assert json.loads(await self._process.stdout.readline()) == "ready"

    async def found(self) -> tuple[str, str]:
        outcome, cause, *_ = await self.ask("walk")
        return outcome, cause


class Far:
    """The address beyond the gateway: passes on to the broker."""

    def __init__(self, address: str, target_port: int) -> None:
        self._address = address
        self._target_port = target_port
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self._address, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.create_task(_pass_on(source, sink)))


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@contextlib.asynccontextmanager
async def terminal_on(line: Line, folder: Path, prepare: Change = lambda line: None) -> AsyncIterator[tuple[Terminal, Far]]:
    """A provisioned terminal at the end of that line, and the way to a broker that works. prepare: before the terminal starts."""
    (folder / "terminal").mkdir()
    async with World(folder, QUICK_MS).open() as world, asyncio.timeout(LIMIT_S):
        time = RealTime()
        far = Far(line.far, world.broker.port)
        await far.listen()
        hal = hal_in(str(folder / "terminal"), time, time.sleep_ms, THIS_YEAR)
        await provision(hal, "T0000001", world.acquirer, world.authority, far.port, {})
        prepare(line)
        child = (sys.executable, "-m", "tests.linux.namespace_side", str(folder / "terminal"), INTERFACE)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("ip", "netns", "exec", line.namespace, *child, cwd=ROOT, stdin=pipe, stdout=pipe)
        try:
            terminal = Terminal(process)
            await terminal.ready()
            yield terminal, far
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await far.stop()


def cut(line: Line) -> None:
    ip("link", "set", line.plug, "down")


def mend_cut(line: Line) -> None:
    ip("link", "set", line.plug, "up")


def switch_off(line: Line) -> None:
    line.inside("link", "set", INTERFACE, "down")


def mend_switch_off(line: Line) -> None:
    line.inside("link", "set", INTERFACE, "up")
    line.route()  # which went with it


def take_address(line: Line) -> None:
    line.inside("addr", "flush", "dev", INTERFACE)


def self_assign(line: Line) -> None:
    take_address(line)
    line.inside("addr", "add", "169.254.7.7/16", "dev", INTERFACE)


def mend_self_assign(line: Line) -> None:
    take_address(line)
    line.configure()


def pull_out(line: Line) -> None:
    ip("link", "del", line.plug)


def take_route(line: Line) -> None:
    line.inside("route", "del", "default")


def forget_name(line: Line) -> None:
    line.name_known(False)


def mend_name(line: Line) -> None:
    line.name_known(True)


def swallow(line: Line) -> None:
    """Answers to the terminal go nowhere, without a word."""
    ip("route", "add", "blackhole", f"{line.near}/32")


def mend_swallow(line: Line) -> None:
    ip("route", "del", "blackhole", f"{line.near}/32")


def refuse_route(line: Line) -> None:
    line.inside("route", "add", "blackhole", f"{line.far}/32")


def mend_refuse_route(line: Line) -> None:
    line.inside("route", "del", "blackhole", f"{line.far}/32")


BROKEN: dict[str, tuple[Change, Change, str]] = {
    "the far end of the cable is down": (cut, mend_cut, "no_link"),
    "the interface is switched off": (switch_off, mend_switch_off, "no_link"),
    "no address": (take_address, Line.configure, "no_address"),
    "an address that it gave itself": (self_assign, mend_self_assign, "no_address"),
    "the interface has gone": (pull_out, Line.plug_in, "unplugged"),
    "no route": (take_route, Line.route, "host_unreachable"),
    "nobody answers for names": (forget_name, mend_name, "dns_failed"),
    "a black hole on the way": (swallow, mend_swallow, "host_unreachable"),
    "a black hole in the terminal": (refuse_route, mend_refuse_route, "host_unreachable"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_broken_is_named_and_is_well_again_once_mended(line: Line, tmp_path: Path, broken: str) -> None:
    change, mend, cause = BROKEN[broken]

    async def program() -> None:
        async with terminal_on(line, tmp_path) as (terminal, _):
            change(line)
            assert await terminal.found() == ("fail", cause)
            mend(line)
            while await terminal.found() != ("success", ""):  # the neighbour may have to be found anew
                pass

    asyncio.run(program())


def test_a_port_on_which_nobody_listens_is_named(line: Line, tmp_path: Path) -> None:
    async def program() -> None:
        async with terminal_on(line, tmp_path) as (terminal, far):
            await far.stop()
            assert await terminal.found() == ("fail", "port_closed")
            await far.listen()
            while await terminal.found() != ("success", ""):
                pass

    asyncio.run(program())


def test_a_line_that_is_well_is_walked_and_its_default_route_counted(line: Line, tmp_path: Path) -> None:
    async def program() -> None:
        async with terminal_on(line, tmp_path) as (terminal, _):
            outcome, cause, _, measurements, detail = await terminal.ask("walk")
            assert (outcome, cause) == ("success", ""), detail
            assert measurements["lost"] == 0
            assert (await terminal.ask("health"))[3] == {"default_route": 1}
            take_route(line)
            assert (await terminal.ask("health"))[0] == "success"
            assert (await terminal.ask("health"))[3] == {"default_route": 0}

    asyncio.run(program())


def test_an_interface_that_is_not_there_at_the_start_is_found_when_it_is_plugged_in(line: Line, tmp_path: Path) -> None:
    async def program() -> None:
        async with terminal_on(line, tmp_path, prepare=pull_out) as (terminal, _):
            assert await terminal.found() == ("fail", "unplugged")
            line.plug_in()
            assert (await terminal.ask("join"))[:2] == ["success", ""]
            while await terminal.found() != ("success", ""):
                pass

    asyncio.run(program())


def test_loss_on_the_line_is_measured(line: Line, tmp_path: Path) -> None:
    lossy = subprocess.run(
        ("tc", "qdisc", "add", "dev", line.plug, "root", "netem", "loss", "40%"), capture_output=True, text=True, timeout=20, check=False
    )
    if lossy.returncode:
        pytest.skip(f"this kernel has no netem: {lossy.stderr.strip()}")

    async def program() -> None:
        async with terminal_on(line, tmp_path) as (terminal, _):
            lost = 0
            while not lost:  # until it meets an answer
                outcome, cause, _, measurements, _ = await terminal.ask("walk")
                lost = int(outcome == "fail" and cause == "lossy") or measurements.get("lost", 0)

    asyncio.run(program())
