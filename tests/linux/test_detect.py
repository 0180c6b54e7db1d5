"""`reinstate-agent detect`: what it makes of a machine that is made up as files, and of services that run or do not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boards.linux_terminal import command
from boards.linux_terminal.configuration import Configuration, parse
from boards.linux_terminal.detect import network_manager_runs, proposal
from boards.linux_terminal.main import main

# Bitmaps of keys as the kernel shows them (drivers/input/input.c), on a machine of 64 bits.
KEYBOARD_KEYS = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"
KEYPAD_KEYS = "10000ffe"  # the row of digits, backspace, enter
MOUSE_KEYS = "1f0000 0 0 0 0"


class Machine:
    """A made-up tree of /sys, /dev and /usr."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._events = 0

    def file(self, path: str, content: str = "") -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(content)

    def link(self, path: str, target: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).symlink_to(target)

    def input(self, name: str, keys: str, by: str = "id") -> None:
        self.file(f"dev/input/event{self._events}")
        self.file(f"sys/class/input/event{self._events}/device/capabilities/key", keys + "\n")
        self.link(f"dev/input/by-{by}/{name}", f"../event{self._events}")
        self._events += 1

    def usb(self, port: str, vendor: str, product: str, name: str, interface_class: str) -> None:
        device = f"sys/bus/usb/devices/{port}"
        for attribute, value in (("idVendor", vendor), ("idProduct", product), ("manufacturer", "ACME"), ("product", name)):
            self.file(f"{device}/{attribute}", value + "\n")
        self.file(f"{device}:1.0/bInterfaceClass", interface_class + "\n")

    def interface(self, name: str, state: str, *, wireless: bool = False, hardware: bool = True) -> None:
        self.file(f"sys/class/net/{name}/operstate", state + "\n")
        if hardware:
            self.file(f"sys/class/net/{name}/device/uevent")
        if wireless:
            self.file(f"sys/class/net/{name}/phy80211/name")

    def proposal(self, readers: tuple[str, ...] = (), manages: bool = False) -> str:
        return proposal(str(self.root), lambda: list(readers), lambda: manages)

    def found(self, readers: tuple[str, ...] = (), manages: bool = False) -> Configuration:
        return parse(self.proposal(readers, manages), "proposed")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(found: Configuration, kind: str) -> dict[str, str | int | bool]:
    return found.devices[kind].values


def test_of_a_machine_with_nothing_it_proposes_keys_in_files_and_says_what_is_missing(machine: Machine) -> None:
    assert list(machine.found().devices) == ["secure_element"]
    for kind in ("display", "keypad", "printer", "card_reader", "scanner", "network"):
        assert f"# {kind}: none was found\n" in machine.proposal()


def test_of_a_terminal_it_proposes_every_device_and_says_why(machine: Machine) -> None:
    machine.file("sys/class/graphics/fb0/name", "simple\n")
    machine.file("sys/class/graphics/fb0/virtual_size", "800,480\n")
    machine.file("sys/class/graphics/fb0/bits_per_pixel", "32\n")
    machine.input("usb-ACME_Keypad-event-kbd", KEYPAD_KEYS)
    machine.usb("1-1", "04b8", "0e15", "TM-T20II", "07")
    machine.file("dev/serial/by-id/usb-Honeywell_1900-if00")
    machine.interface("wlan0", "up", wireless=True)
    text = machine.proposal(("ACME SmartReader PICC 00 01",), manages=True)
    found = parse(text, "proposed")
    assert {kind: section.part for kind, section in found.devices.items()} == {
        "secure_element": "key_file",
        "display": "framebuffer",
        "keypad": "evdev",
        "printer": "escpos_usb",
        "card_reader": "pcsc",
        "scanner": "serial",
        "network": "network_manager",
    }
    assert values(found, "display")["device"] == "/dev/fb0"
    assert values(found, "keypad") == {"device": "/dev/input/by-id/usb-ACME_Keypad-event-kbd", "keys": ""}
    assert (values(found, "printer")["vendor"], values(found, "printer")["product"]) == (0x04B8, 0x0E15)
    assert values(found, "card_reader") == {"reader": "ACME SmartReader PICC"}
    assert values(found, "scanner")["device"] == "/dev/serial/by-id/usb-Honeywell_1900-if00"
    assert values(found, "network") == {"interface": "wlan0"}
    for why in (
        "# /dev/fb0: simple, 800,480 pixels, 32 bits each\n[display]",
        "# /dev/input/by-id/usb-ACME_Keypad-event-kbd has digits and enter\n[keypad]",
        "# ACME TM-T20II on USB, which says that it is a printer;",
        "# pcscd tells of the reader ACME SmartReader PICC 00 01\n[card_reader]",
        "# wlan0 is up and is wireless; NetworkManager runs\n[network]",
    ):
        assert why in text


def test_what_it_proposes_is_what_the_board_can_be_built_of(machine: Machine) -> None:
    machine.file("sys/class/graphics/fb0/name", "simple\n")
    machine.usb("1-1", "04b8", "0e15", "TM-T20II", "07")
    machine.interface("eth0", "up")
    found = machine.found()
    hal = command.devices_of(found, command.platform_of(found, lambda line: None))
    assert {device.kind for device in hal.devices()} == {"clock", "storage", "secure_element", "display", "printer", "network"}


def test_a_console_is_told_of_and_not_taken_from_who_is_signed_on_at_it(machine: Machine) -> None:
    machine.file("dev/tty1")
    assert "display" not in machine.found().devices
    assert '# /dev/tty1 is a console: with part = "tty" it can be display and keypad' in machine.proposal()


def test_a_mouse_is_no_keypad_and_what_scans_is_a_scanner(machine: Machine) -> None:
    machine.input("usb-ACME_Mouse-event-kbd", MOUSE_KEYS)
    machine.input("usb-Datalogic_QuickScan-event-kbd", KEYBOARD_KEYS)
    found = machine.found()
    assert "keypad" not in found.devices
    assert (found.devices["scanner"].part, values(found, "scanner")["device"]) == (
        "evdev",
        "/dev/input/by-id/usb-Datalogic_QuickScan-event-kbd",
    )


def test_of_several_keypads_one_is_in_force_and_the_others_are_comments(machine: Machine) -> None:
    machine.input("usb-A-event-kbd", KEYBOARD_KEYS)
    machine.input("usb-B-event-kbd", KEYPAD_KEYS)
    text = machine.proposal()
    assert values(parse(text, "proposed"), "keypad") == {"device": "/dev/input/by-id/usb-A-event-kbd", "keys": ""}
    assert "# /dev/input/by-id/usb-A-event-kbd has digits and enter, and more: a keyboard\n[keypad]" in text
    assert '# device = "/dev/input/by-id/usb-B-event-kbd"' in text


def test_a_keypad_without_a_serial_number_has_a_name_by_its_path(machine: Machine) -> None:
    machine.input("platform-i8042-serio-0-event-kbd", KEYBOARD_KEYS, by="path")
    assert values(machine.found(), "keypad") == {"device": "/dev/input/by-path/platform-i8042-serio-0-event-kbd", "keys": ""}


def test_a_device_of_another_class_is_no_printer(machine: Machine) -> None:
    machine.usb("1-1", "046d", "c077", "Mouse", "03")
    machine.usb("1-2", "", "", "Nameless", "07")
    assert "printer" not in machine.found().devices


def test_a_serial_line_of_which_nothing_is_known_is_a_remark(machine: Machine) -> None:
    machine.file("dev/serial/by-id/usb-FTDI_FT232R-if00")
    machine.file("dev/serial/by-id/usb-EPSON_TM-if00")
    text = machine.proposal()
    assert "# /dev/serial/by-id/usb-FTDI_FT232R-if00 is a serial line: of a scanner or a printer?\n" in text
    found = parse(text, "proposed")
    assert "scanner" not in found.devices
    assert values(found, "printer")["device"] == "/dev/serial/by-id/usb-EPSON_TM-if00"


def test_the_contactless_reader_comes_first_and_its_changing_numbers_are_left_out(machine: Machine) -> None:
    readers = ("ACME Contact Reader 00 00", "ACME Dual Reader [PICC] (0001) 01 00")
    found = machine.found(readers)
    assert values(found, "card_reader") == {"reader": "ACME Dual Reader [PICC] (0001)"}


def test_names_that_makers_give_cannot_break_the_file(machine: Machine) -> None:
    machine.usb("1-1", "04b8", "0e15", 'evil"\x1b]0;\n[terminal]', "07")
    found = machine.found(('quo"te\\ 00 00', "line\nbreak"))
    assert values(found, "card_reader") == {"reader": 'quo"te\\'}
    assert set(found.devices) == {"secure_element", "printer", "card_reader"}


def test_of_interfaces_the_one_that_is_up_comes_first_and_those_without_hardware_do_not_count(machine: Machine) -> None:
    machine.interface("docker0", "up", hardware=False)
    machine.interface("eth0", "down")
    machine.interface("wlan0", "up", wireless=True)
    found = machine.found()
    assert (found.devices["network"].part, values(found, "network")) == ("interface", {"interface": "wlan0"})


def test_a_module_of_a_token_is_a_remark(machine: Machine) -> None:
    machine.file("usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so")
    machine.file("usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so")
    text = machine.proposal()
    assert "# /usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so is a PKCS#11 module:" in text
    assert "spy" not in text


def test_of_this_machine_it_proposes_something_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect"]) == 0
    assert "secure_element" in parse(capsys.readouterr().out, "proposed").devices


# Services.


@pytest.fixture
def bus() -> Iterator[str]:
    """The address of a message bus of its own."""
    with tempfile.TemporaryDirectory(prefix="ra-") as folder:
        address = f"unix:path={folder}/bus"
        process = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={address}"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("unix:")
            yield address
        finally:
            process.kill()
            process.communicate()


@pytest.mark.needs("dbus-daemon")
@pytest.mark.parametrize("runs", [False, True])
def test_network_manager_is_known_by_its_name_on_the_bus(bus: str, runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
    if not runs:
        assert not network_manager_runs()
        return
    program = (
        "import asyncio, sys\nfrom dbus_fast.aio import MessageBus\n"
        "async def main():\n bus = await MessageBus(bus_address=sys.argv[1]).connect()\n"
        " await bus.request_name('org.freedesktop.NetworkManager')\n print('there', flush=True)\n await bus.wait_for_disconnect()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", program, bus], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None and owner.stdout.readline() == "there\n"
            assert network_manager_runs()
        finally:
            owner.kill()


def test_without_a_bus_network_manager_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    assert not network_manager_runs()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "nonsense")
    assert not network_manager_runs()


def test_without_pcscd_there_are_no_readers(tmp_path: Path) -> None:
    """In a process of its own: the library remembers the service that it has found."""
    program = "from boards.linux_terminal.detect import pcsc_readers; print(pcsc_readers())"
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": f"{tmp_path}/none"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
