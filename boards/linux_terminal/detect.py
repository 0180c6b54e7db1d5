"""What is attached to this machine, as a proposed configuration: looked for where kernel and services tell of it; no device is opened.

Sources: in the kernel's Documentation, ABI/testing/sysfs-class-net, sysfs-bus-usb, fb/api.rst and input/event-codes.rst; udev's rules
60-persistent-input and 60-serial for the names in by-id; USB's class 7, "Printer" (usb.org, defined class codes).
"""

import asyncio
import glob
import os
import struct

from boards.linux_terminal.configuration import PARTS, TERMINAL, TERMINAL_KEYS, section_lines
from boards.linux_terminal.process import hardware_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.linux_terminal.configuration import Value

USB_PRINTER_CLASS = "07"
DIGITS = set(range(2, 12))  # KEY_1 to KEY_0 of linux/input-event-codes.h
KEYPAD_DIGITS = {71, 72, 73, 75, 76, 77, 79, 80, 81, 82}  # KEY_KP7 to KEY_KP0
ENTER = {28, 96}  # KEY_ENTER, KEY_KPENTER
# Words by which makers name their devices: scanners that type look like keyboards, and contactless readers have a second slot.
SCANNERS = ("scan", "barcode", "honeywell", "datalogic", "zebra", "symbol", "newland", "metrologic")
PRINTERS = ("print", "epson", "star_micronics", "bixolon", "citizen")
CONTACTLESS = ("picc", "contactless", "acr122", "cl ")
BUS_MS = 3000


class Found:
    """A section that is proposed, and why."""

    def __init__(self, kind: str, part: str, values: "dict[str, Value]", why: str) -> None:
        keys = PARTS[kind][part].keys
        self.kind = kind
        self.lines = section_lines(kind, part, {key.name: values.get(key.name, key.example) for key in keys})
        self.why = why


def proposal(root: str = "", readers: "Callable[[], list[str]] | None" = None, manages: "Callable[[], bool] | None" = None) -> str:
    """A configuration in TOML. root: of the folders sys, dev and usr; readers: gives the names of the PC/SC readers; manages: tells whether
    NetworkManager runs.
    """
    sections: tuple[tuple[str, list[Found], list[str]], ...] = (
        ("secure_element", [_key_folder()], _tokens(root)),
        ("display", _displays(root), _consoles(root)),
        ("keypad", _keypads(root), []),
        ("printer", _printers(root), []),
        ("card_reader", _readers((readers or pcsc_readers)()), []),
        ("scanner", _scanners(root), _serial_lines(root)),
        ("network", _interfaces(root, (manages or network_manager_runs)()), []),
    )
    lines = ["# Proposed by `reinstate-agent detect`, from what was found on this machine."]
    lines += ["# Its hardware id, for an activation by code: %s" % (hardware_id() or "none, for want of /etc/machine-id"), ""]
    lines += section_lines(TERMINAL, "", {key.name: key.example for key in TERMINAL_KEYS})
    for kind, found, remarks in sections:
        lines.append("")
        if not found:
            lines.append("# %s: none was found" % kind)
        for number, section in enumerate(found):
            lines.append("# " + section.why)
            lines += section.lines if number == 0 else ["# " + line for line in section.lines]
        lines += ["# " + remark for remark in remarks]
    return "\n".join(lines) + "\n"


def _key_folder() -> Found:
    return Found("secure_element", "key_file", {}, "keys in files need no hardware; make the folder with mode 0700, for the agent's user")


def _tokens(root: str) -> "list[str]":
    """Modules of which nothing but their place is known: which token, and which PIN, only a person can say."""
    places = _below(root, "usr/lib/*/pkcs11/*.so") + _below(root, "usr/lib/pkcs11/*.so")
    what = '%s is a PKCS#11 module: with part = "pkcs11" a token keeps the keys'
    return [what % place[len(root) :] for place in places if "spy" not in place]  # which only passes on to another


def _displays(root: str) -> "list[Found]":
    found = []
    for place in _below(root, "sys/class/graphics/fb[0-9]*"):
        device = "/dev/" + os.path.basename(place)
        told = "%s, %s pixels, %s bits each" % tuple(_text(place, name) or "?" for name in ("name", "virtual_size", "bits_per_pixel"))
        found.append(Found("display", "framebuffer", {"device": device}, "%s: %s" % (device, told)))
    return found


def _consoles(root: str) -> "list[str]":
    """One that somebody may be signed on at is not taken from him: only a person can give it to the agent."""
    if not os.path.exists(root + "/dev/tty1"):
        return []
    return ["/dev/tty1 is a console: with part = \"tty\" it can be display and keypad, once it is the agent's own (see the board's README)"]


def _keypads(root: str) -> "list[Found]":
    found = []
    for device, keys in _typing(root):
        if not _named(device, SCANNERS):
            why = "%s has digits and enter" % device
            if DIGITS <= keys and len(keys) > 60:
                why += ", and more: a keyboard"
            found.append(Found("keypad", "evdev", {"device": device}, why))
    return found


def _scanners(root: str) -> "list[Found]":
    found = [
        Found("scanner", "serial", {"device": device}, "%s: named as a scanner; set it to this rate" % device)
        for device in _serial(root)
        if _named(device, SCANNERS)
    ]
    for device, _ in _typing(root):
        if _named(device, SCANNERS):
            found.append(Found("scanner", "evdev", {"device": device}, "%s types as a keyboard, and is named as a scanner" % device))
    return found


def _serial_lines(root: str) -> "list[str]":
    """Those of which nothing tells what is behind them."""
    unknown = [device for device in _serial(root) if not _named(device, SCANNERS + PRINTERS)]
    return ["%s is a serial line: of a scanner or a printer?" % device for device in unknown]


def _typing(root: str) -> "list[tuple[str, set[int]]]":
    """Input devices with digits and enter, by a name that stays the same, and the codes of their keys."""
    found = []
    seen = set()
    for place in _below(root, "dev/input/by-id/*-event-kbd") + _below(root, "dev/input/by-path/*-event-kbd"):
        event = os.path.basename(os.path.realpath(place))
        keys = _bits(_text(root + "/sys/class/input/" + event, "device/capabilities/key"))
        if event not in seen and (DIGITS <= keys or KEYPAD_DIGITS <= keys) and ENTER & keys:
            seen.add(event)
            found.append((place[len(root) :], keys))
    return found


def _printers(root: str) -> "list[Found]":
    found = []
    for place in _below(root, "sys/bus/usb/devices/*:*"):
        if _text(place, "bInterfaceClass") != USB_PRINTER_CLASS:
            continue
        device = place.rsplit(":", 1)[0]  # interface 1-1:1.0 is of device 1-1
        vendor, product = (_text(device, name) for name in ("idVendor", "idProduct"))
        if vendor and product:
            why = "%s %s on USB, which says that it is a printer; width_dots and columns are those of 58 mm paper" % (
                _text(device, "manufacturer"),
                _text(device, "product"),
            )
            found.append(Found("printer", "escpos_usb", {"vendor": int(vendor, 16), "product": int(product, 16)}, why))
    for line in _serial(root):
        if _named(line, PRINTERS):
            found.append(Found("printer", "escpos_serial", {"device": line}, "%s: named as a printer; set it to this rate" % line))
    return found


def _readers(names: "list[str]") -> "list[Found]":
    """Contactless ones first. A name ends with two numbers that change with the order of plugging in: they are left out."""
    names = sorted(filter(str.isprintable, names), key=lambda name: not _named(name, CONTACTLESS))
    found = []
    for name in names:
        words = name.split(" ")
        while len(words) > 1 and len(words[-1]) == 2 and words[-1].isalnum():
            words.pop()
        found.append(Found("card_reader", "pcsc", {"reader": " ".join(words)}, "pcscd tells of the reader %s" % name))
    return found


def _interfaces(root: str, is_managed: bool) -> "list[Found]":
    """Those of hardware, the one that is up first."""
    found = []
    for place in _below(root, "sys/class/net/*"):
        name = os.path.basename(place)
        if not os.path.exists(place + "/device"):
            continue
        state = _text(place, "operstate")
        wireless = " and is wireless" if os.path.exists(place + "/wireless") or os.path.exists(place + "/phy80211") else ""
        part = "network_manager" if is_managed else "interface"
        why = "%s is %s%s; NetworkManager %s" % (name, state or "there", wireless, "runs" if is_managed else "does not run")
        found.append((state != "up", Found("network", part, {"interface": name}, why)))
    return [section for _, section in sorted(found, key=lambda pair: pair[0])]


def _serial(root: str) -> "list[str]":
    return [place[len(root) :] for place in _below(root, "dev/serial/by-id/*")]


def _below(root: str, pattern: str) -> "list[str]":
    return sorted(glob.glob(root + "/" + pattern))


def _named(name: str, words: "tuple[str, ...]") -> bool:
    return any(word in name.lower() for word in words)


def _text(folder: str, name: str) -> str:
    """An attribute in one line that can stand in a comment; '' where there is none."""
    try:
        with open(folder + "/" + name, encoding="utf-8", errors="replace") as file:
            return "".join([character if character.isprintable() else "?" for character in file.read(1000).strip()])
    except OSError:
        return ""


def _bits(words: str) -> "set[int]":
    """The numbers of the bits that are set in a bitmap of sysfs: words of the machine's size in hexadecimal, the highest first."""
    size = 8 * struct.calcsize("L")
    try:
        numbers = [int(word, 16) for word in reversed(words.split())]
    except ValueError:
        return set()
    return {size * place + bit for place, number in enumerate(numbers) for bit in range(size) if number >> bit & 1}


# Services.


def pcsc_readers() -> "list[str]":
    """The names of the readers that pcscd tells of; none where it does not run, or pyscard is not installed."""
    try:
        from smartcard.pcsc.PCSCExceptions import BaseSCardException  # type: ignore[import-untyped]
        from smartcard.System import readers  # type: ignore[import-untyped]
    except ImportError:
        return []
    try:
        return [str(reader) for reader in readers()]
    except BaseSCardException:
        return []


def network_manager_runs() -> bool:
    """Whether it has its name on the system bus; False without a bus, or where dbus-fast is not installed."""
    try:
        from dbus_fast.errors import AuthError, DBusError, InvalidAddressError
    except ImportError:
        return False
    try:
        return asyncio.run(asyncio.wait_for(_has_owner("org.freedesktop.NetworkManager"), BUS_MS / 1000))
    except (OSError, AuthError, DBusError, InvalidAddressError):  # a time that is over is an OSError, too
        return False


async def _has_owner(name: str) -> bool:
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        asked = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", signature="s", body=[name])
        answer = await bus.call(asked)
        return answer is not None and answer.body == [True]
    finally:
        bus.disconnect()
