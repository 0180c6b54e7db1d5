"""The command `reinstate sim`: the desktop simulator, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from firmware_agent.texts import LANGUAGES
from host_sim.boards import boards
from host_sim.desktop.choices import usual_runtime, why_not
from host_sim.terminal import RUNTIMES, TerminalFailure, check_runtime, runtime_of
from host_sim.world import BROKERS

PORT = 8350


class SimulatorError(Exception):
    """It cannot begin; in one line why."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sim = commands.add_parser("sim", help="the desktop simulator: a terminal and its acquirer in a web page", description=carry_out.__doc__)
    sim.add_argument("--port", type=int, default=PORT, help="of 127.0.0.1; 0: a free one (default: %(default)s)")
    sim.add_argument("--no-browser", action="store_true", help="open no browser")
    sim.add_argument("--board", choices=boards(), default="esp32s3_counter", help="of the first terminal (default: %(default)s)")
    sim.add_argument("--runtime", choices=RUNTIMES, help="what its agent runs on (default: what the board is made for)")
    sim.add_argument("--lang", choices=LANGUAGES, default="zh-CN", help="language of its screens (default: %(default)s)")
    sim.add_argument("--broker", choices=BROKERS, default="embedded", help="default: %(default)s")
    sim.add_argument("--state", type=Path, metavar="DIR", help="keep terminals and acquirer in this folder, and go on with them next time")


def carry_out(options: argparse.Namespace) -> None:
    """Serve a page on 127.0.0.1 that shows a terminal, its acquirer, and all that can be done to them; until Ctrl-C.

    Raises SimulatorError, BrokerFailure, TerminalFailure.
    """
    from host_sim.acquirer.registry import RegistryError  # here, for no other command needs a web server
    from host_sim.desktop.server import listening, simulate
    from host_sim.desktop.state_folder import opened

    runtime = options.runtime or usual_runtime(options.board)
    why = why_not(options.board, runtime_of(options.board))
    if not runtime:
        raise TerminalFailure(why)
    if not options.runtime and why:
        print(f"reinstate sim: goes on with {runtime}: {why}", file=sys.stderr, flush=True)
    check_runtime(options.board, runtime)
    defaults = {"board": options.board, "runtime": runtime, "language": options.lang}
    with contextlib.closing(listening(options.port)) as listener, _folder(options.state) as folder, opened(folder) as state:
        try:
            asyncio.run(simulate(listener, state, broker=options.broker, defaults=defaults, browser=not options.no_browser))
        except RegistryError as error:
            raise SimulatorError(f"{folder}: {error}; the folder is left as it is: name another one") from error


@contextlib.contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    """The one that is named, or one that goes at the end."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        yield Path(folder)
