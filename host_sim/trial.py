"""The commands of an acquirer on trial: set it up in a folder, enrol terminals, watch what they report, and send them orders."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from firmware_agent import VERSION
from firmware_agent.boot.versions import is_version
from firmware_agent.identity.enrolment import MOST_BYTES, EnrolmentError
from firmware_agent.messages.schema import LINK_LOST
from firmware_agent.orders import ACTIONS
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from host_sim.acquirer.acquirer import Acquirer, ended, summary
from host_sim.acquirer.office import LOOK_S, Office, OfficeError, order, order_fields
from host_sim.acquirer.registry import Follower
from host_sim.boards import boards
from host_sim.firmware import describe, pack, release
from host_sim.terminal import RUNTIMES, runtime_of

__all__ = ["OfficeError", "add_commands", "carry_out"]

MOST_DAYS = 365
HARDWARE_ID_DIGITS = 32  # of a Linux terminal: 16 bytes of its machine-id, as a program sees it


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """To the parser of `reinstate`."""
    acquirer = commands.add_parser("acquirer", help="set up an acquirer on trial in an empty folder", description=_acquirer.__doc__)
    acquirer.add_argument("folder", type=Path, metavar="DIR")
    acquirer.add_argument("--name", default="acq1", help="as it stands in topics (default: %(default)s)")
    acquirer.add_argument("--broker", required=True, metavar="HOST:PORT", help="where its broker will be, as terminals see it")
    acquirer.add_argument("--days", type=_days, default=30, help=f"until its certificates end, 1 to {MOST_DAYS} (default: %(default)s)")
    acquirer.add_argument("--registry", default="", metavar="URL", help="database, as SQLAlchemy names it (default: a file in DIR)")
    enrol = commands.add_parser("enrol", help="give a terminal its credentials", description=_enrol.__doc__)
    enrol.add_argument("folder", type=Path, metavar="DIR")
    enrol.add_argument("request", type=Path, metavar="REQUEST", help="the file that the terminal wrote")
    enrol.add_argument("--terminal", required=True, metavar="NUMBER", help="the number it gets, as T0000001")
    enrol.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the terminal, as language=en")
    enrol.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where its credentials go")
    activate = commands.add_parser("activate", help="issue an activation code for a terminal's number", description=_activate.__doc__)
    activate.add_argument("folder", type=Path, metavar="DIR")
    activate.add_argument("--terminal", required=True, metavar="NUMBER", help="the number that the device gets, as T0000001")
    activate.add_argument("--unlock", default="", metavar="DEVICE", help="and forget the wrong codes of this device, as its page names it")
    factory = commands.add_parser("factory", help="prepare a Linux terminal for an activation by code", description=_factory.__doc__)
    factory.add_argument("folder", type=Path, metavar="DIR")
    factory.add_argument("--device", required=True, metavar="ID", help="its hardware id, as `reinstate-agent detect` tells it")
    factory.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the device, as language=en")
    factory.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where it goes: it holds a private key")
    signed = commands.add_parser("release", help="sign a program", description=_release.__doc__)
    signed.add_argument("folder", type=Path, metavar="DIR")
    signed.add_argument("--board", required=True, choices=boards(), help="whose program it is")
    signed.add_argument("--version", default=VERSION, help="newer than what the terminals run (default: %(default)s)")
    signed.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the program goes; it is not there yet")
    watch = commands.add_parser("watch", help="verify and show what terminals report", description=_watch.__doc__)
    watch.add_argument("folder", type=Path, metavar="DIR")
    watch.add_argument("--until", default="", metavar="TEXT", help="end when a verified line has this text in it")
    watch.add_argument("--limit", type=float, default=0.0, metavar="SECONDS", help="give up after so long (default: never)")
    work = commands.add_parser("work", help="be one of the acquirer's workers", description=_work.__doc__)
    work.add_argument("folder", type=Path, metavar="DIR")
    send = commands.add_parser("order", help="send a signed order, and show the receipt", description=_order.__doc__)
    send.add_argument("folder", type=Path, metavar="DIR")
    send.add_argument("terminal", metavar="NUMBER")
    send.add_argument("action", help=", ".join(name for name, _ in ACTIONS))
    send.add_argument("fields", nargs="*", metavar="NAME=VALUE", help="of the order, as reason=violation, plan=full, settings=language:en")


def carry_out(options: argparse.Namespace) -> bool:
    """Whether it went well. Raises OfficeError for what was asked wrongly."""
    actions = {
        "acquirer": _acquirer,
        "enrol": _enrol,
        "activate": _activate,
        "factory": _factory,
        "release": _release,
        "watch": _watch,
        "work": _work,
        "order": _order,
    }
    action = actions[options.command]
    return asyncio.run(action(options))


async def _acquirer(options: argparse.Namespace) -> bool:
    """Set up an acquirer: authority, signing key, and the settings of a mosquitto for it. TEST material, which expires."""
    host, colon, port = options.broker.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise OfficeError(f"--broker {options.broker!r}: HOST:PORT is wanted, as localhost:8883")
    if not options.name.isalnum():
        raise OfficeError(f"--name {options.name!r}: letters and digits only, for it stands in topics")
    office = await Office.found(options.folder, options.name, host, int(port), options.days, options.registry)
    print(f"acquirer {office.name} is set up in {options.folder}; start its broker: mosquitto -c {options.folder}/broker/mosquitto.conf")
    return True


async def _enrol(options: argparse.Namespace) -> bool:
    """Answer a terminal's request with credentials, which are carried back to it."""
    office = Office(options.folder)
    settings = _settings(options.set)
    if not options.terminal.isalnum():
        raise OfficeError(f"--terminal {options.terminal!r}: letters and digits only, for it stands in topics")
    try:
        with options.request.open("rb") as file:
            request = file.read(MOST_BYTES + 1)
        options.output.write_bytes(await office.enrol(request, options.terminal, settings))
    except OSError as error:
        raise OfficeError(f"{error.filename}: {error.strerror}") from error
    except EnrolmentError as error:
        raise OfficeError(f"{options.request}: {error}") from error
    print(f"{options.output}: credentials of {options.terminal}")
    return True


async def _activate(options: argparse.Namespace) -> bool:
    """Print a code that is typed at a device without a name, and makes it that terminal; `watch` or `work` answers it. A device that has
    the number is revoked in that moment.
    """
    if not options.terminal.isalnum():
        raise OfficeError(f"--terminal {options.terminal!r}: letters and digits only, for it stands in topics")
    code = await Office(options.folder).activation_code(options.terminal, options.unlock)
    print(f"{code[:4]} {code[4:8]} {code[8:]}")
    return True


async def _factory(options: argparse.Namespace) -> bool:
    """Write the file that the configuration of a Linux terminal names as `factory`: whom the device asks with an activation code, and the
    certificate by which the broker knows it.
    """
    if len(options.device) != HARDWARE_ID_DIGITS or any(digit not in "0123456789abcdef" for digit in options.device):
        raise OfficeError(
            f"--device {options.device!r}: {HARDWARE_ID_DIGITS} hexadecimal digits are wanted, as `reinstate-agent detect` tells them"
        )
    data = await Office(options.folder).factory_file(options.device, _settings(options.set))
    try:
        with open(os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise OfficeError(f"{options.output}: {error.strerror}") from error
    print(f"{options.output}: for device {options.device}; it holds a private key")
    return True


def _settings(words: list[str]) -> dict[str, str]:
    settings = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise OfficeError(f"--set {word!r}: NAME=VALUE is wanted, as language=en")
        settings[name] = value
    return settings


async def _release(options: argparse.Namespace) -> bool:
    """Put a board's program into a folder, with the list of its files signed by the acquirer: to be copied into the spare slot of a
    microcontroller; for a Linux terminal it is a wheel, for `reinstate-agent update`.
    """
    if not is_version(options.version):
        raise OfficeError(f"--version {options.version!r}: whole numbers with dots between, as 0.2.0")
    if options.output.exists():
        raise OfficeError(f"{options.output} is there already")
    acquirer = await Office(options.folder).acquirer()
    acquirer.registry.close()
    if runtime_of(options.board) == RUNTIMES[0]:
        release(options.board, options.output, options.version)
        manifest = await acquirer.firmware_manifest(options.output, options.version)
    else:
        options.output.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as name:
            program = Path(name) / "program"
            release(options.board, program, options.version)
            describe(options.board, program, options.version)
            manifest = await acquirer.firmware_manifest(program, options.version)
            pack(program, options.version, options.output)
    (options.output / MANIFEST_NAME).write_bytes(manifest)
    print(f"version {options.version} for {options.board}, signed by {acquirer.name}: {options.output}")
    return True


async def _watch(options: argparse.Namespace) -> bool:
    """Show what terminals report, each line only after its signature was verified. Exit code 1: the text of --until did not come."""
    seen = asyncio.Event()

    def told(line: str) -> None:
        print(line, flush=True)
        if options.until and options.until in line:
            seen.set()

    async with Office(options.folder).at_work(told) as acquirer:
        follower = asyncio.create_task(_follow(acquirer, told))
        try:
            async with asyncio.timeout(options.limit or None):
                await seen.wait()
        except TimeoutError:
            pass  # told by the exit code
        finally:
            await ended(follower)
    return seen.is_set() or not options.until


async def _follow(acquirer: Acquirer, told: Callable[[str], None]) -> None:
    """Tell what other processes take of terminals' messages; at first, where another one is at work, each terminal's state."""
    follower = Follower(acquirer.registry)
    if not acquirer.connected:
        for terminal, account in acquirer.accounts.items():
            if account.state:
                link = {} if account.online else {"link": LINK_LOST}
                told(f"{terminal}: verified {summary('state', account.state | link)}")
    while True:
        for kept in follower.messages():
            if kept.taken_by != acquirer.process:
                told(f"{kept.terminal}: verified {summary(kept.claims.kind.name, kept.claims.body)}")
        await asyncio.sleep(LOOK_S)


async def _work(options: argparse.Namespace) -> bool:
    """Verify what terminals report and send what is due to them, one of as many workers as are started; until it is ended (SIGTERM)."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    async with Office(options.folder).at_work(lambda line: print(line, flush=True), as_worker=True):
        print("at work", flush=True)
        await end.wait()
    return True


async def _order(options: argparse.Namespace) -> bool:
    """Sign an order, send it, and wait for the terminal's signed receipt. Exit code 1: the terminal refused it."""
    fields = order_fields(options.action, options.fields)
    async with Office(options.folder).at_work(lambda line: print(line, file=sys.stderr)) as acquirer:
        refusal = await order(acquirer, options.terminal, fields)
    print(f"{options.terminal}: {f'refused: {refusal}' if refusal else 'obeyed'}")
    return not refusal


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_DAYS}")
    return int(text)
