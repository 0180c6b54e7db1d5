"""A Linux terminal on the desktop: the very process that a service manager starts, on interfaces that kernel and services serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from boards.linux_terminal.configuration import PARTS, load, toml_value
from boards.linux_terminal.factory import encoded
from boards.linux_terminal.process import Process
from firmware_agent.store import Store
from hal.drivers.linux.linux_clock import sleep_ms
from hal.files import Files
from hal.hal import Hal
from hal.platform import Platform
from hal.resolver import resolve
from host_sim.acquirer.equipment import software_element
from host_sim.firmware import Image, install
from host_sim.linux.disk import PLACE, Disk
from host_sim.linux.interface import Interface
from host_sim.linux.names import Names
from host_sim.linux.pcscd import DRIVER as VPCD
from host_sim.linux.service import Service
from host_sim.platform import Time
from host_sim.provision import BROKER_HOST, BROKER_NAME, broker_of, commission, factory_record
from host_sim.terminal import DesktopTerminal, TerminalFailure

if TYPE_CHECKING:
    from host_sim.acquirer.acquirer import Acquirer
    from host_sim.pki import TestAuthority

# What it takes of the system besides a kernel: Debian's package -> its program, or where it lies; and of the extra `linux`.
PACKAGES = {
    "dbus": "dbus-daemon",
    "iproute2": "ip",
    "pcscd": "pcscd",
    "python3-dbusmock": "/usr/lib/python3/dist-packages/dbusmock/__init__.py",
    "softhsm2": "softhsm2-util",
    "util-linux": "unshare",
    "vsmartcard-vpcd": str(VPCD),
}
MODULES = ("dbus_fast", "escpos", "paho", "pkcs11", "serial", "smartcard", "usb")
CAP_SYS_ADMIN = 1 << 21  # linux/capability.h: to mount, and to make namespaces

WATCHDOG_S = 30.0
COMMAND_TIMEOUT_S = 60.0
# Kind and part -> module.Class of its model, loaded when a board lists it.
MODELS = {
    ("display", "framebuffer"): "framebuffer_file.FramebufferFile",
    ("keypad", "evdev"): "input_device.KeypadDevice",
    ("printer", "escpos_network"): "printer_port.NetworkPrinterPort",
    ("printer", "escpos_serial"): "printer_port.SerialPrinterPort",
    ("card_reader", "pcsc"): "smart_card.SmartCardReader",
    ("scanner", "serial"): "scanner_port.ScannerPort",
    ("scanner", "evdev"): "scanner_port.WedgeScanner",
    ("network", "network_manager"): "network_manager_service.NetworkManagerService",
    ("secure_element", "pkcs11"): "token.Token",
    ("secure_element", "key_file"): "token.KeyFolder",
}
# Files that the agent sees in the places of the machine's own: it is given a view of the file system for itself.
SEEN = {"hosts": "/etc/hosts", "resolv.conf": "/etc/resolv.conf", "boot_id": "/proc/sys/kernel/random/boot_id"}


class LinuxMachine(DesktopTerminal):
    """chips: the models behind the interfaces; disk: what the agent's state lies on. Needs root, for mounts and namespaces of its own."""

    RUNTIMES = ("cpython",)
    WHY_NOT_KEPT = "its disk and its token are the kernel's, in memory, and went with the simulator"

    def __init__(self, board: str, runtime: str, folder: Path, log: Callable[[str], None], time: Time | None = None) -> None:
        super().__init__(board, runtime, folder, log, time)
        self.disk = Disk(folder / PLACE)
        self.data = self.disk.state
        self.names = Names(folder / "names")
        parts = {kind: part["part"] for kind, part in self.facts["parts"].items()}
        self.chips = {kind: self._model(kind, part) for kind, part in parts.items() if (kind, part) in MODELS}
        self._interfaces: list[Interface] = [self.disk, self.names, *self.chips.values()]
        for interface in self._interfaces:
            interface.folder.mkdir(parents=True, exist_ok=True)
        if not self.device.exists():
            install(board, self.device)
        self.image = Image(self.device)
        self.breakable = {**self.chips, "storage": self.disk, "names": self.names, "firmware": self.image}
        self.configuration = folder / "agent.toml"
        self.factory = folder / "factory"
        self._started = contextlib.AsyncExitStack()

    @classmethod
    def check_runtime(cls, board: str, runtime: str) -> None:
        super().check_runtime(board, runtime)
        if sys.platform != "linux":
            raise TerminalFailure(f"board {board} needs a Linux kernel; this is {sys.platform}")
        if os.geteuid() or not capabilities() & CAP_SYS_ADMIN:
            need = "root here" if os.geteuid() else "the capability SYS_ADMIN here, which not every container gives"
            raise TerminalFailure(f"board {board} needs {need}: its disk and its card reader's service get places of their own")
        if missing := [package for package, program in PACKAGES.items() if shutil.which(program) is None and not Path(program).exists()]:
            raise TerminalFailure(f"board {board} needs what is not installed here; on Debian: apt install {' '.join(missing)}")
        if missing := [module for module in MODULES if find_spec(module) is None]:
            raise TerminalFailure(f"board {board} needs Python modules ({', '.join(missing)}): pip install 'reinstate[linux]'")

    def _model(self, kind: str, part: str) -> Interface:
        module, _, name = MODELS[kind, part].partition(".")
        model: Interface = getattr(import_module(f"host_sim.linux.{module}"), name)(self.folder / kind)
        return model

    async def set_up(self) -> None:
        for interface in self._interfaces:
            try:
                await interface.start()
                self._started.push_async_callback(interface.stop)
            except OSError as error:
                raise TerminalFailure(f"{interface.kind or type(interface).__name__}: {error}") from error
        places = {"state": self.disk.state, "socket": self.folder / "agent.sock", "factory": self.factory}
        lines = ["[terminal]", *[f"{key} = {toml_value(str(place))}" for key, place in places.items()]]
        for kind, chip in self.chips.items():
            lines += ["", f"[{kind}]", f"part = {toml_value(chip.part)}"]
            lines += [f"{key} = {toml_value(value)}" for key, value in chip.section().items()]
        for kind, part in self.facts["parts"].items():
            if kind in PARTS and kind not in self.chips:  # of which there is nothing to model
                lines += ["", f"[{kind}]", f"part = {toml_value(part['part'])}"]
        self.configuration.write_text("\n".join(lines) + "\n")

    async def take_down(self) -> None:
        await super().take_down()
        await self._started.aclose()

    async def provision(
        self, terminal: str, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str], pin: str
    ) -> None:
        """Enrolled by the files that are carried to the acquirer and back, with the agent's own commands."""
        request, credentials = self.folder / "request", self.folder / "credentials"
        await self._carry_out("request", request)
        granted = acquirer.grant(request.read_bytes(), terminal, (BROKER_HOST, broker_port, BROKER_NAME), settings)
        credentials.write_bytes(granted.encoded())
        await self._carry_out("enrol", credentials)
        hal = self.hal()
        for error in await hal.bring_up(("clock", "storage")):
            raise TerminalFailure(str(error))
        store = Store(hal.storage)
        store.open()
        random = self.folder / "random"
        random.mkdir()
        await commission(hal, store, await software_element(random), pin)

    async def leave_factory(self, acquirer: Acquirer, authority: TestAuthority, broker_port: int, settings: dict[str, str]) -> None:
        """By the file that its configuration names."""
        hal = self.hal()
        record = factory_record(hal.hardware_id, acquirer, authority, broker_of(hal, broker_port))
        self.factory.touch(mode=0o600)
        self.factory.write_bytes(encoded(record, settings))

    async def _carry_out(self, command: str, file: Path) -> None:
        """A command of the agent's that takes one file. Raises TerminalFailure."""
        (self.names.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        process = await asyncio.create_subprocess_exec(
            *self.command_for(command, str(file)), env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise TerminalFailure(f"reinstate-agent {command}: {told.decode(errors='replace').strip()}")

    def power_on(self) -> None:
        (self.names.folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
        for chip in self.chips.values():
            chip.power_up()
        super().power_on()

    async def _run(self) -> None:
        for chip in self.chips.values():
            await chip.settled()
        self.service = Service(self.command_for("run"), self.environment, self.folder, WATCHDOG_S, self._heard)
        code = await self.service.run()
        raise TerminalFailure(f"the agent ended with exit code {code}; its last lines:\n" + "\n".join(self.lines[-8:]))

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The agent's, while it is on."""
        assert self.service.process is not None
        return self.service.process

    def command_for(self, *arguments: str) -> list[str]:
        """What starts `reinstate-agent` with these arguments, with its own view of the file system."""
        seen = [argument for name, place in SEEN.items() for argument in (str(self.names.folder / name), place)]
        mounts = " && ".join(f'mount --bind "${2 * number + 1}" "${2 * number + 2}"' for number in range(len(SEEN)))
        script = f'{mounts} && shift {len(seen)} && exec "$@"'
        agent = [sys.executable, "-P", "-m", f"boards.{self.facts['id']}.main", *arguments, "--config", str(self.configuration)]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *seen, *agent]

    @property
    def environment(self) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": str(self.device),
            "PYTHONPYCACHEPREFIX": str(self.folder.parent / "pycache"),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
        }
        for interface in self._interfaces:
            environment |= interface.environment()
        return environment

    def hal(self) -> Hal:
        """As the agent has them, and beside it: of use while it is off."""
        files = Files(str(self.disk.state))
        process = Process(files, self._log, "", None)
        platform = Platform(process, None, time, sleep_ms, files, resolve, Files(str(self.device)))
        hal: Hal = self.board.build(load(str(self.configuration)))(platform)
        return hal


def capabilities() -> int:
    """Those of this process that count now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    return 0
