"""The Linux terminal: builds its Hal from a configuration, with the drivers of the parts that it lists, and imports no others."""

import json
from importlib import import_module

from boards.linux_terminal.configuration import PARTS, ConfigurationError
from hal.compat import beside
from hal.drivers.file_storage import FileStorage
from hal.drivers.linux.linux_clock import LinuxClock
from hal.hal import Hal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from boards.linux_terminal.configuration import Configuration, Section
    from hal.clock import Clock
    from hal.platform import Platform
    from hal.storage import Storage


def facts() -> "dict[str, Any]":
    """The board's facts: board.json. Its parts are those of the desktop's terminal."""
    with open(beside(__file__, "board.json"), encoding="utf-8") as file:
        board: dict[str, Any] = json.load(file)
    return board


def build(configuration: "Configuration") -> "Callable[[Platform], Hal]":
    """What makes the terminal's devices, not yet brought up. Both raise ConfigurationError: for a library that is not installed, and for
    values that do not go together.
    """
    drivers = {kind: _driver(kind, section) for kind, section in configuration.devices.items()}

    def built(platform: "Platform") -> Hal:
        clock = LinuxClock()
        storage = FileStorage(platform.files)
        devices: dict[str, Any] = {}
        for kind, section in configuration.devices.items():
            devices[kind] = _device(kind, drivers[kind], section, clock, storage, devices.get("network"))
        return Hal(
            board=facts()["id"],
            hardware_id=platform.machine.unique_id().hex(),
            clock=clock,
            storage=storage,
            watchdog=platform.machine.watchdog,
            program=platform.program,
            **devices,
        )

    return built


def _driver(kind: str, section: "Section") -> "Any":
    module, _, name = PARTS[kind][section.part].driver.rpartition(".")
    try:
        return getattr(import_module("hal.drivers." + module), name)
    except ImportError as error:
        need = "%s needs %s, which is not installed" % (section.part, error.name)
        raise ConfigurationError("%s: %s; allowed: pip install 'reinstate[linux]'" % (section.place, need)) from None


def _device(kind: str, driver: "Any", section: "Section", clock: "Clock", storage: "Storage | None" = None, network: "Any" = None) -> "Any":
    values: dict[str, Any] = dict(section.values)
    if section.part == "serial":  # a driver that runs on every runtime: it is handed its line
        from hal.drivers.linux.serial_port import SerialPort

        values["uart"] = SerialPort(values.pop("device"), values.pop("baudrate"))
    if kind == "payment":  # it keeps what it has begun, and looks up its host by the network's device
        values["storage"], values["resolver"] = storage, network
    try:
        return driver(clock=clock, **values)
    except ValueError as error:
        raise ConfigurationError("%s: %s" % (section.place, str(error).removeprefix(kind + ": "))) from None
