"""The configuration of a Linux terminal: the table of parts and their keys, and all that comes from it: checks, defaults, the example.

A file in TOML: a section for each kind of device, named as in hal.KINDS, with `part` and that part's own keys, which are the keyword
arguments of its driver. A kind without a section is not there. `[terminal]` says where the agent keeps what it remembers.
"""

import os
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Value = str | int | bool

TERMINAL = "terminal"
PART = "part"
NEEDED = ("secure_element",)  # kinds that no terminal is without
MOST_BYTES = 65536  # of a configuration file
# The longest path of a Unix socket, its end not counted (struct sockaddr_un in linux/un.h).
MOST_SOCKET_BYTES = 107
MOST_PATH = 255

BAUDRATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


class ConfigurationError(ValueError):
    """The file cannot be used; the message is one line: FILE:LINE: section.key: what is wrong; allowed: what would be right."""


class Key:
    """One key of a section.

    meaning: one line for the example; default: its value where the key is missing, None for a key that must be given; its type is that of
    `default`, or of `example`, which stands in the example for a key without a default; low, high: of a number, or of the length of a text;
    choices: where only these are right; form: how a number is written.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        default: "Value | None" = None,
        example: "Value | None" = None,
        low: int = 0,
        high: int = MOST_PATH,
        choices: "tuple[Value, ...]" = (),
        form: str = "%d",
    ) -> None:
        shown = default if example is None else example
        assert shown is not None
        self.name = name
        self.meaning = meaning
        self.default = default
        self.example = shown
        self.low = low
        self.high = high
        self.choices = choices
        self.form = form

    @property
    def allowed(self) -> str:
        """What is right, in words."""
        if self.choices:
            return ", ".join([toml_value(choice) for choice in self.choices])
        if isinstance(self.example, bool):
            return "true, false"
        if isinstance(self.example, int):
            return "a whole number from %d to %d" % (self.low, self.high)
        return "a text of %d to %d characters" % (self.low, self.high)

    def allows(self, value: object) -> bool:
        """A bool is no number here."""
        if type(value) is not type(self.example):
            return False
        if self.choices:
            return value in self.choices
        if isinstance(value, str):
            return self.low <= len(value) <= self.high and value.isprintable()
        return isinstance(value, bool) or (isinstance(value, int) and self.low <= value <= self.high)


class Part:
    """driver: 'module.Class' below hal.drivers, imported only where the part is listed; needs: the group that may use it, '' for none."""

    def __init__(self, driver: str, meaning: str, needs: str, keys: "tuple[Key, ...]") -> None:
        self.driver = driver
        self.meaning = meaning
        self.needs = needs
        self.keys = keys


def _path(name: str, meaning: str, default: "str | None" = None, example: "str | None" = None) -> Key:
    return Key(name, meaning, default, example, low=1)


def _baudrate() -> Key:
    return Key("baudrate", "as the device is set", 9600, choices=BAUDRATES)


def _printer(*keys: Key) -> "tuple[Key, ...]":
    return (
        *keys,
        Key("profile", "the printer's model in python-escpos", "default", low=1, high=64),
        Key("width_dots", "of a line: 384 for 58 mm paper, 576 for 80 mm; 0: as the profile says", 0, 384, high=4096),
        Key("columns", "characters of a line: 32 for 58 mm paper, 48 for 80 mm; 0: as many as fit", 0, 32),
        Key("answers_status", "true: it is known to answer DLE EOT, so that silence is a failure", False),
    )


# Kind -> name of the part -> what it is.
PARTS: "dict[str, dict[str, Part]]" = {
    "secure_element": {
        "key_file": Part(
            "linux.key_file.KeyFile",
            "keys in files: no hardware keeps them, and the reports say so",
            "",
            (_path("folder", "where the keys lie; nobody else may read it", example="/var/lib/reinstate/keys"),),
        ),
        "pkcs11": Part(
            "linux.pkcs11_token.Pkcs11Token",
            "a token behind PKCS#11: a TPM, a smart card, a security module",
            "tss, for a TPM",
            (
                _path("module", "the library of the token's maker", example="/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"),
                Key("token", "the token's label", example="reinstate", low=1, high=32),
                _path("pin_file", "a file with the user PIN, which nobody else may read", example="/var/lib/reinstate/token.pin"),
            ),
        ),
    },
    "display": {
        "framebuffer": Part(
            "linux.framebuffer.Framebuffer",
            "the kernel's framebuffer",
            "video",
            (
                _path("device", "the framebuffer", "/dev/fb0"),
                Key("scale", "of a pixel, in each direction; 0: chosen by the display's size", 0, high=16),
                _path("sysfs", "where the kernel tells of its devices", "/sys"),
            ),
        ),
        "tty": Part(
            "linux.tty_display.TtyDisplay",
            "the screen of a text terminal",
            "tty",
            (_path("device", "the terminal; /dev/tty is the one that the agent was started from", "/dev/tty"),),
        ),
    },
    "keypad": {
        "evdev": Part(
            "linux.evdev_keypad.EvdevKeypad",
            "a keypad or keyboard as an input device of the kernel",
            "input",
            (
                _path("device", "by what stays the same: /dev/input/by-id/...", example="/dev/input/by-id/usb-keypad-event-kbd"),
                Key("keys", "the names of its keys, with blanks between; empty: those that it says it has", ""),
            ),
        ),
        "tty": Part(
            "linux.tty_keypad.TtyKeypad",
            "the keys of a text terminal",
            "tty",
            (_path("device", "the terminal; /dev/tty is the one that the agent was started from", "/dev/tty"),),
        ),
    },
    "printer": {
        "escpos_network": Part(
            "linux.python_escpos.EscposNetwork",
            "a receipt printer with ESC/POS on the network",
            "",
            _printer(
                Key("host", "name or IPv4 address of the printer", example="192.168.1.60", low=1, high=253),
                Key("port", "of TCP", 9100, low=1, high=65535),
            ),
        ),
        "escpos_serial": Part(
            "linux.python_escpos.EscposSerial",
            "a receipt printer with ESC/POS on a serial line",
            "dialout",
            _printer(
                _path("device", "by what stays the same: /dev/serial/by-id/...", example="/dev/serial/by-id/usb-printer-if00"),
                _baudrate(),
            ),
        ),
        "escpos_usb": Part(
            "linux.python_escpos.EscposUsb",
            "a receipt printer with ESC/POS on USB",
            "lp",
            _printer(
                Key("vendor", "of the printer, as lsusb tells it", example=0x04B8, low=1, high=0xFFFF, form="0x%04x"),
                Key("product", "of the printer, as lsusb tells it", example=0x0E15, low=1, high=0xFFFF, form="0x%04x"),
            ),
        ),
    },
    "card_reader": {
        "pcsc": Part(
            "linux.pcsc.Pcsc",
            "a contactless reader behind pcscd",
            "",
            (Key("reader", "part of the reader's name; empty: the first one", "", low=0, high=128),),
        ),
    },
    "scanner": {
        "serial": Part(
            "serial_scanner.SerialScanner",
            "a bar-code scanner on a serial line that takes Honeywell's commands",
            "dialout",
            (
                _path("device", "by what stays the same: /dev/serial/by-id/...", example="/dev/serial/by-id/usb-scanner-if00"),
                _baudrate(),
                Key("answers_revision", "true: it is known to have the command REVINF, so that silence is a failure", False),
            ),
        ),
        "evdev": Part(
            "linux.evdev_scanner.EvdevScanner",
            "a bar-code scanner that types as a keyboard does",
            "input",
            (_path("device", "by what stays the same: /dev/input/by-id/...", example="/dev/input/by-id/usb-scanner-event-kbd"),),
        ),
    },
    "network": {
        "network_manager": Part(
            "linux.network_manager.NetworkManager",
            "an interface that NetworkManager looks after; a wireless one is joined by it",
            "netdev",
            (Key("interface", "its name, as `ip link` tells it", example="wlan0", low=1, high=15),),
        ),
        "interface": Part(
            "linux.interface.Interface",
            "an interface that is set up by others: its state and address are looked at",
            "",
            (Key("interface", "its name, as `ip link` tells it", example="eth0", low=1, high=15),),
        ),
    },
    "payment": {
        "iso8583": Part(
            "iso8583_payment.Iso8583Payment",
            "sign-ins and test sales at the acquirer's payment host by ISO 8583; which host: a setting of the acquirer's",
            "",
            (Key("tpdu", "before each message, as the acquirer gave it: 10 digits", "6000030000", low=10, high=10),),
        ),
    },
}

# Of the section [terminal]. What is left out follows from where the service manager puts the agent.
TERMINAL_KEYS = (
    _path("state", "where the agent keeps what it remembers; else $STATE_DIRECTORY, else ./state", example="/var/lib/reinstate"),
    Key(
        "socket",
        "where it is asked for a self-test; else $RUNTIME_DIRECTORY/agent.sock, else agent.sock in `state`",
        example="/run/reinstate/agent.sock",
        low=1,
        high=MOST_SOCKET_BYTES,
    ),
    _path(
        "factory",
        "what the factory gave for an activation by code, which nobody else may read; else nothing",
        example="/etc/reinstate/factory",
    ),
)
SECTIONS = (TERMINAL, *PARTS)


class Section:
    """One device. values: of its part's keys, the keyword arguments of its driver; place: FILE:LINE: kind, for messages."""

    def __init__(self, place: str, part: str, values: "dict[str, Value]") -> None:
        self.place = place
        self.part = part
        self.values = values


class Configuration:
    """state: folder of what the agent remembers; socket: path of its Unix socket; devices: kind -> Section; factory: file, '' for none."""

    def __init__(self, state: str, socket: str, devices: "dict[str, Section]", factory: str = "") -> None:
        self.state = state
        self.socket = socket
        self.factory = factory
        self.devices = devices


def load(path: str) -> Configuration:
    """What the file says. Raises ConfigurationError."""
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError("%s: %s" % (path, error.strerror)) from None
    if len(content) > MOST_BYTES:
        raise ConfigurationError("%s: too large; allowed: %d bytes" % (path, MOST_BYTES))
    try:
        text = str(content, "utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError("%s:%d: no text; allowed: UTF-8" % (path, line)) from None
    return parse(text, path)


def parse(text: str, path: str) -> Configuration:
    """What a configuration says. path: of its file, for messages. Raises ConfigurationError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, what = _told_by_parser(str(error), text)
        raise ConfigurationError("%s:%d: no TOML: %s; allowed: [section], key = value, # comment" % (path, line, what)) from None
    return _Checker(path, lines_of(text)).check(document)


class _Checker:
    def __init__(self, path: str, lines: "dict[tuple[str, ...], int]") -> None:
        self._path = path
        self._lines = lines

    def check(self, document: "dict[str, Any]") -> Configuration:
        for name, section in document.items():
            if name not in SECTIONS:
                raise self._wrong((name,), "there is no such section", ", ".join(SECTIONS))
            if not isinstance(section, dict):
                raise self._wrong((name,), "this is no section", "[%s]" % name)
        devices = {kind: self._device(kind, document[kind]) for kind in PARTS if kind in document}
        for kind in NEEDED:
            if kind not in devices:
                raise self._wrong((kind,), "the section is missing", "%s = %s" % (PART, _parts(kind)))
        values = self._values(TERMINAL, TERMINAL_KEYS, document.get(TERMINAL, {}), ())
        state = str(values.get("state") or _first_of("STATE_DIRECTORY") or "state")
        socket = str(values.get("socket") or os.path.join(_first_of("RUNTIME_DIRECTORY") or state, "agent.sock"))
        if len(os.fsencode(socket)) > MOST_SOCKET_BYTES:
            raise self._wrong((TERMINAL, "socket"), "the path is too long", "at most %d bytes" % MOST_SOCKET_BYTES)
        return Configuration(state, socket, devices, str(values.get("factory") or ""))

    def _device(self, kind: str, section: "dict[str, Any]") -> Section:
        part = section.get(PART)
        if not isinstance(part, str) or part not in PARTS[kind]:
            raise self._wrong((kind, PART), "missing" if part is None else "there is no such part", _parts(kind))
        keys = PARTS[kind][part].keys
        values = self._values(kind, keys, section, (PART,))
        for key in keys:
            if key.name not in values:
                if key.default is None:
                    raise self._wrong((kind, key.name), "missing", key.allowed)
                values[key.name] = key.default
        return Section(self._place((kind,)), part, values)

    def _values(self, name: str, keys: "tuple[Key, ...]", section: "dict[str, Any]", others: "tuple[str, ...]") -> "dict[str, Value]":
        """Those that are given. A value that is wrong is not repeated: nobody knows what was written there."""
        known = {key.name: key for key in keys}
        values = {}
        for key, value in section.items():
            if key in others:
                continue
            if key not in known:
                raise self._wrong((name, key), "there is no such key", ", ".join([*others, *known]))
            if not known[key].allows(value):
                raise self._wrong((name, key), "%s is not right here" % _type_name(value), known[key].allowed)
            values[key] = value
        return values

    def _wrong(self, place: "tuple[str, ...]", what: str, allowed: str) -> ConfigurationError:
        """At the line of that key; one that is missing, at the line of its section."""
        return ConfigurationError("%s: %s; allowed: %s" % (self._place(place), what, allowed))

    def _place(self, place: "tuple[str, ...]") -> str:
        line = next((self._lines[place[:length]] for length in range(len(place), 0, -1) if place[:length] in self._lines), 1)
        return "%s:%d: %s" % (self._path, line, ".".join(map(_name, place)))


def _parts(kind: str) -> str:
    return ", ".join([toml_value(part) for part in PARTS[kind]])


def _name(key: str) -> str:
    """A key that is no plain word may hold anything: it is shown as TOML would quote it."""
    return key if key.isidentifier() and key.isascii() else toml_value(key[:40])


def _type_name(value: object) -> str:
    return {bool: "a bool", int: "this number", str: "this text", float: "a fraction", list: "a list", dict: "a section"}.get(
        type(value), "a date or time"
    )


def _first_of(variable: str) -> str:
    """The service manager gives several folders as one does in PATH."""
    return os.environ.get(variable, "").split(":")[0]


def _told_by_parser(message: str, text: str) -> "tuple[int, str]":
    """Line and reason of a message of tomllib: 'Expected ... (at line 3, column 5)' or '... (at end of document)'."""
    what, _, place = message.rpartition(" (at ")
    words = place.replace(",", " ").split()
    if words[:1] == ["line"]:
        return int(words[1]), what
    return max(1, text.rstrip("\n").count("\n") + 1), what or message


def lines_of(text: str) -> "dict[tuple[str, ...], int]":
    """Path of each section and key -> the line, from 1, on which it first stands, of a text that is TOML.

    The parser is asked statement by statement: what parses alone, from its first line on, is a statement, over however many lines it goes.
    """
    lines: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    statement = ""
    begun = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            begun = number
        statement += line + "\n"
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        places = list(_places(said, ()))
        if statement.lstrip().startswith("["):
            section = ()
        for place in places:
            lines.setdefault(section + place, begun)
        if statement.lstrip().startswith("["):
            section = places[-1]
        statement = ""
    return lines


def _places(value: object, place: "tuple[str, ...]") -> "Any":
    """The path of each key in a document; of a table in an array, the array's."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key)
            yield from _places(inner, (*place, key))


# Writing.


def toml_value(value: "Value", form: str = "%d") -> str:
    """As TOML writes it: a basic string has the escapes of JSON's and one more (toml.io, v1.0.0, "String")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return form % value
    return '"%s"' % "".join([_ESCAPES.get(character) or _in_string(character) for character in value])


_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def _in_string(character: str) -> str:
    return character if character.isprintable() else "\\U%08X" % ord(character)


def section_lines(name: str, part: str, values: "dict[str, Value]") -> "list[str]":
    """A section of the file: its part, and these keys of it, each with its meaning. part: '' for [terminal]."""
    keys = PARTS[name][part].keys if part else TERMINAL_KEYS
    written = [("[%s]" % name, PARTS[name][part].meaning if part else "")]
    if part:
        written.append(("%s = %s" % (PART, toml_value(part)), ""))
    for key in keys:
        if key.name in values:
            written.append(("%s = %s" % (key.name, toml_value(values[key.name], key.form)), key.meaning))
    width = max([len(statement) for statement, meaning in written if meaning])
    return [("%-*s  # %s" % (width, statement, meaning)) if meaning else statement for statement, meaning in written]


def example() -> str:
    """agent.toml: every part and every key, the first part of each kind in force, the others as comments."""
    lines = ["# Configuration of a Linux terminal: what is attached to it. A kind of device without a section is not there."]
    lines += ["# `reinstate-agent detect` proposes one for this machine.", ""]
    lines += section_lines(TERMINAL, "", {key.name: key.example for key in TERMINAL_KEYS})
    for kind, parts in PARTS.items():
        for number, (name, part) in enumerate(parts.items()):
            written = section_lines(kind, name, {key.name: key.example for key in part.keys})
            lines += ["", *(written if number == 0 else ["# " + line for line in written])]
    return "\n".join(lines) + "\n"
