"""The configuration of a Linux terminal: one table says what is right, and everything that is wrong is told in one line, with its place."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from boards.linux_terminal import board
from boards.linux_terminal.configuration import (
    MOST_BYTES,
    PARTS,
    TERMINAL_KEYS,
    ConfigurationError,
    Key,
    example,
    lines_of,
    load,
    parse,
    section_lines,
    toml_value,
)
from hal.hal import KINDS
from tests.linux.support import real_clock

FOLDER = Path(board.__file__).parent
EXAMPLE = FOLDER / "agent.toml"
ALL_PARTS = [(kind, part) for kind, parts in PARTS.items() for part in parts]
LEAST = '[secure_element]\npart = "key_file"\nfolder = "keys"\n'
DRIVERS_ALSO_TAKE = {"self", "clock", "storage"}


def written(kind: str, part: str, values: dict[str, Any] | None = None) -> str:
    """A configuration with this part: its keys as in the example, or these."""
    keys = PARTS[kind][part].keys
    text = "\n".join(section_lines(kind, part, {key.name: key.example for key in keys} if values is None else values))
    return text + "\n" if kind == "secure_element" else LEAST + text + "\n"


def refused(text: str) -> str:
    with pytest.raises(ConfigurationError) as told:
        parse(text, "agent.toml")
    message = str(told.value)
    assert "\n" not in message
    return message


# The example, and all that is said twice.


def test_the_example_is_made_of_the_table() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_the_example_is_a_right_configuration() -> None:
    configuration = load(str(EXAMPLE))
    assert set(configuration.devices) == set(PARTS)
    assert configuration.state == "/var/lib/reinstate"
    assert configuration.socket == "/run/reinstate/agent.sock"


@pytest.mark.parametrize(("kind", "part"), ALL_PARTS)
def test_every_part_and_every_key_of_it_is_in_the_example(kind: str, part: str) -> None:
    section = re.search(rf'^(?:# )?\[{kind}\].*\n(?:# )?part = "{part}"\n((?:.+\n)*)', example(), re.MULTILINE)
    assert section is not None
    assert re.findall(r"^(?:# )?(\w+) = ", section[1], re.MULTILINE) == [key.name for key in PARTS[kind][part].keys]


def test_the_kinds_are_those_of_the_hal() -> None:
    assert set(PARTS) <= set(KINDS)


def test_the_readme_has_a_row_for_every_part() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(ALL_PARTS)


@pytest.mark.parametrize(("kind", "part"), ALL_PARTS)
def test_each_part_is_built_from_its_section_of_the_example(kind: str, part: str) -> None:
    section = parse(written(kind, part), "agent.toml").devices[kind]
    assert section.values == {key.name: key.example for key in PARTS[kind][part].keys}
    device = board._device(kind, board._driver(kind, section), section, real_clock())
    assert device.kind == kind


@pytest.mark.parametrize(("kind", "part"), [pair for pair in ALL_PARTS if pair != ("scanner", "serial")])
def test_the_keys_and_their_defaults_are_those_of_the_driver(kind: str, part: str) -> None:
    module, _, name = PARTS[kind][part].driver.rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(f"hal.drivers.{module}"), name).__init__).parameters
    keys = {key.name: key.default for key in PARTS[kind][part].keys}
    assert set(keys) <= set(parameters)
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty} - DRIVERS_ALSO_TAKE
    assert needed <= set(keys)
    for name, default in keys.items():
        assert parameters[name].default in (inspect.Parameter.empty, default)


def test_the_board_of_the_desktop_has_parts_of_the_table() -> None:
    parts = board.facts()["parts"]
    for kind, part in parts.items():
        assert kind in ("clock", "storage") or part["part"] in PARTS[kind]


# What follows where nothing is said.


@pytest.mark.parametrize(("kind", "part"), ALL_PARTS)
def test_a_key_that_is_left_out_has_its_default(kind: str, part: str) -> None:
    keys = PARTS[kind][part].keys
    given = {key.name: key.example for key in keys if key.default is None}
    expected = given | {key.name: key.default for key in keys if key.default is not None}
    assert parse(written(kind, part, given), "agent.toml").devices[kind].values == expected


def test_without_a_word_the_folders_are_those_of_the_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one")
    configuration = parse(LEAST, "agent.toml")
    assert (configuration.state, configuration.socket) == ("/var/lib/one", "/run/one/agent.sock")


def test_without_a_service_manager_everything_is_in_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    configuration = parse(LEAST, "agent.toml")
    assert (configuration.state, configuration.socket) == ("state", "state/agent.sock")
    configuration = parse('[terminal]\nstate = "/s"\n' + LEAST, "agent.toml")
    assert (configuration.state, configuration.socket) == ("/s", "/s/agent.sock")


# What is wrong.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LEAST + "[toaster]\n", "agent.toml:4: toaster: there is no such section; allowed: terminal, secure_element, display, keypad,"),
        (LEAST + "display = 1\n", "agent.toml:4: secure_element.display: there is no such key; allowed: part, folder"),
        ("display = 1\n" + LEAST, "agent.toml:1: display: this is no section; allowed: [display]"),
        (LEAST + '[display]\npart = "crt"\n', 'agent.toml:5: display.part: there is no such part; allowed: "framebuffer", "tty"'),
        (LEAST + "[display]\nscale = 1\n", 'agent.toml:4: display.part: missing; allowed: "framebuffer", "tty"'),
        (LEAST + "[display]\npart = 3\n", 'agent.toml:5: display.part: there is no such part; allowed: "framebuffer", "tty"'),
        (
            LEAST + '[display]\n\n# x\npart = "tty"\nscale = 2 # y\n',
            "agent.toml:8: display.scale: there is no such key; allowed: part, device",
        ),
        (
            LEAST + '[display]\npart = "framebuffer"\nscale = "2"\n',
            "agent.toml:6: display.scale: this text is not right here; allowed: a whole number from 0 to 16",
        ),
        (
            LEAST + '[display]\npart = "framebuffer"\nscale = true\n',
            "agent.toml:6: display.scale: a bool is not right here; allowed: a whole number from 0 to 16",
        ),
        (
            LEAST + '[display]\npart = "framebuffer"\nscale = 17\n',
            "agent.toml:6: display.scale: this number is not right here; allowed: a whole number from 0 to 16",
        ),
        (
            LEAST + '[display]\npart = "tty"\ndevice = ""\n',
            "agent.toml:6: display.device: this text is not right here; allowed: a text of 1 to 255 characters",
        ),
        (
            LEAST + '[scanner]\npart = "serial"\ndevice = "/dev/x"\nbaudrate = 9601\n',
            "agent.toml:7: scanner.baudrate: this number is not right here; allowed: 1200, 2400,",
        ),
        (
            LEAST + '[scanner]\npart = "serial"\ndevice = "/dev/x"\nanswers_revision = 1\n',
            "agent.toml:7: scanner.answers_revision: this number is not right here; allowed: true, false",
        ),
        (LEAST + '[network]\npart = "interface"\n', "agent.toml:4: network.interface: missing; allowed: a text of 1 to 15 characters"),
        ("", 'agent.toml:1: secure_element: the section is missing; allowed: part = "key_file", "pkcs11"'),
        ('[secure_element]\npart = "key_file"\nfolder = ["a"]\n', "agent.toml:3: secure_element.folder: a list is not right here;"),
        ('[secure_element]\npart = "key_file"\nfolder = 1.5\n', "agent.toml:3: secure_element.folder: a fraction is not right here;"),
        ('[secure_element]\npart = "key_file"\nfolder = 2025-01-01\n', "agent.toml:3: secure_element.folder: a date or time is not right"),
        ('[secure_element]\npart = "key_file"\nfolder = "a\\u0007"\n', "agent.toml:3: secure_element.folder: this text is not right here;"),
        ('[secure_element]\npart = "key_file"\n"fol der" = "a"\n', 'agent.toml:3: secure_element."fol der": there is no such key;'),
        (
            'terminal.socket = "%s"\n' % ("x" * 108) + LEAST,
            "agent.toml:1: terminal.socket: this text is not right here; allowed: a text of 1 to 107",
        ),
        (
            '[terminal]\nstate = "%s"\n' % ("é" * 60) + LEAST,
            "agent.toml:1: terminal.socket: the path is too long; allowed: at most 107 bytes",
        ),
        (
            LEAST + "[display\n",
            "agent.toml:4: no TOML: Expected ']' at the end of a table declaration; allowed: [section], key = value, # comment",
        ),
        (LEAST + "part\n", "agent.toml:4: no TOML: "),
        (LEAST + 'x = "a', "agent.toml:4: no TOML: "),
        (LEAST + '[display]\nx = """a\n\n', "agent.toml:5: no TOML: "),
        (LEAST + LEAST, "agent.toml:4: no TOML: Cannot declare ('secure_element',) twice"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_its_place_and_what_is_right(text: str, message: str) -> None:
    assert refused(text).startswith(message)


def test_a_value_that_is_wrong_is_not_repeated() -> None:
    assert "4711" not in refused('[secure_element]\npart = "pkcs11"\nmodule = "m"\ntoken = "t"\npin_file = 4711\n')


def test_a_file_that_is_not_there_or_no_text_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    with pytest.raises(ConfigurationError, match=rf"^{path}: No such file or directory$"):
        load(str(path))
    path.write_bytes(b"# a\n# \xff\n")
    with pytest.raises(ConfigurationError, match=rf"^{path}:2: no text; allowed: UTF-8$"):
        load(str(path))
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigurationError, match=rf"^{path}: too large; allowed: {MOST_BYTES} bytes$"):
        load(str(path))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ('part = "escpos_network"\nhost = "p"\nwidth_dots = 13\n', "agent.toml:4: printer: width_dots 13"),
        ('part = "escpos_network"\nhost = "p"\nprofile = "toaster"\n', "agent.toml:4: printer: no profile 'toaster'; there are: "),
    ],
)
def test_what_only_the_driver_can_judge_is_told_with_its_place(section: str, message: str) -> None:
    found = parse(LEAST + "[printer]\n" + section, "agent.toml").devices["printer"]
    with pytest.raises(ConfigurationError) as told:
        board._device("printer", board._driver("printer", found), found, real_clock())
    assert str(told.value).startswith(message)


def test_a_library_that_is_not_installed_is_told_with_the_place_and_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'PIL', for {name}", name="PIL")

    monkeypatch.setattr(board, "import_module", absent)
    section = parse(written("display", "framebuffer"), "agent.toml").devices["display"]
    with pytest.raises(ConfigurationError) as told:
        board._driver("display", section)
    assert str(told.value) == (
        "agent.toml:4: display: framebuffer needs PIL, which is not installed; allowed: pip install 'reinstate[linux]'"
    )


# Lines.


def test_the_line_of_a_key_is_found_however_it_is_written() -> None:
    text = """# [display]
top.part = "a"

[terminal]  # [keypad]
state = \"\"\"
[keypad]
part = 1
\"\"\"
"so cket" = [ # x
  "part = 2",
]
[ "display" . 'x' ]
part=1
[keypad]
part = {a = 1, "b c" = {d = 2}}
[[many]]
one = 1
[[many]]
two = 2
"""
    assert lines_of(text) == {
        ("top",): 2,
        ("top", "part"): 2,
        ("terminal",): 4,
        ("terminal", "state"): 5,
        ("terminal", "so cket"): 9,
        ("display",): 12,
        ("display", "x"): 12,
        ("display", "x", "part"): 13,
        ("keypad",): 14,
        ("keypad", "part"): 15,
        ("keypad", "part", "a"): 15,
        ("keypad", "part", "b c"): 15,
        ("keypad", "part", "b c", "d"): 15,
        ("many",): 16,
        ("many", "one"): 17,
        ("many", "two"): 19,
    }
    assert lines_of(text.replace("\n", "\r\n")) == lines_of(text)


@pytest.mark.parametrize("value", ["", "a b", 'quo"te', "back\\slash", "ümlaut", "中文", "tab\there", "\x00", "\U0001f600", 0, -1, True])
def test_what_is_written_is_read_again(value: str | int) -> None:
    import tomllib

    read = tomllib.loads("x = " + toml_value(value))["x"]
    assert read == value and type(read) is type(value)


def test_a_number_can_be_written_as_lsusb_does() -> None:
    assert "vendor = 0x04b8" in written("printer", "escpos_usb")


def test_a_key_tells_what_it_allows_and_keeps_to_it() -> None:
    for key in (*TERMINAL_KEYS, *(key for kind, part in ALL_PARTS for key in PARTS[kind][part].keys)):
        assert key.allows(key.example), key.name
        assert key.default is None or key.allows(key.default), key.name
        assert key.allowed and key.meaning and not key.allows(None), key.name
    number = Key("n", "", 1, low=1, high=3)
    assert [value for value in (0, 1, 3, 4, True, "1", 1.0) if number.allows(value)] == [1, 3]
