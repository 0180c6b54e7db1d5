"""The summary of a whole recovery on a display of 64 pixels: in parts that other people's readers read, and `reinstate verify` verifies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image

from firmware_agent.flows.handout import show_code
from firmware_agent.flows.menu.records_flow import records_flow
from firmware_agent.messages.signed_text import PART_PREFIX, decode_text
from firmware_agent.settings import Settings
from hal.drivers.p256_openssl import OpensslP256
from host_sim.cli import main
from tests.core.parts import Time
from tests.core.records_visit import Ui, never, recovered
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import boot

SCALE = 4  # as a camera sees it


class Screen:
    """A display of the hand-held's size that keeps what is drawn."""

    def __init__(self, width_px: int = 128, height_px: int = 64) -> None:
        self.width_px, self.height_px, self.enabled = width_px, height_px, True
        self.picture = Image.new("1", (width_px, height_px), 0)

    def fill(self, colour: int) -> None:
        self.picture.paste(colour == 0xFFFFFF, (0, 0, self.width_px, self.height_px))

    def draw_bitmap(self, x_px: int, y_px: int, width_px: int, height_px: int, bits: bytes, ink: int, paper: int) -> None:
        self.picture.paste(Image.frombytes("1", (width_px, height_px), bytes(0xFF ^ byte for byte in bits)), (x_px, y_px))


class Telephone:
    """In the place of the keypad: reads what is on the display, and then a key is pressed."""

    enabled = True

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.read_codes: list[str] = []

    async def read(self, timeout_ms: int) -> str:
        picture = self._screen.picture
        large = picture.convert("L").resize((picture.width * SCALE, picture.height * SCALE))
        self.read_codes += [code.text for code in zxingcpp.read_barcodes(large)]
        return "1"


class Person:
    """A terminal with that past, and a person with a telephone in front of it."""

    def __init__(self, past: Any = recovered, screen: Screen | None = None) -> None:
        self.time: Any = Time()
        self.terminal: Any = boot(serving_flash(), self.time, curve=OpensslP256())
        past(self.terminal)
        self.screen = screen or Screen()
        self.telephone = Telephone(self.screen)
        self.terminal.hal.display, self.terminal.hal.keypad = self.screen, self.telephone

    def visit(self, *keys: str) -> Any:
        ui: Any = Ui(self.terminal.hal.clock, keys, prints=False)

        async def visit() -> None:
            self.public_key = await self.terminal.hal.secure_element.generate_key(0)
            await records_flow(self.terminal, ui, Settings(self.terminal.store), lambda: False)

        self.time.run(visit())
        return ui


@pytest.fixture(scope="module")
def shown() -> tuple[Person, Any]:
    person = Person()
    return person, person.visit("1", "3", "1", "1")


def test_each_part_is_announced_and_read_by_a_telephone(shown: tuple[Person, Any]) -> None:
    person, ui = shown
    pages = [page for page in ui.pages if page.name == "code.part"]
    codes = person.telephone.read_codes
    assert len(pages) == len(codes) >= 2
    assert [page.title for page in pages] == [f"code.part.title count={len(pages)} number={number + 1}" for number in range(len(pages))]
    assert all(code.startswith(PART_PREFIX) for code in codes)
    topic, _ = decode_text("\n".join(codes))
    assert topic == "poi/v1/acq1/T0000001/summary"


@pytest.mark.parametrize("order", ["as shown", "backwards"])
def test_reinstate_verify_takes_the_parts_in_any_order(
    shown: tuple[Person, Any], order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person, _ = shown
    codes = person.telephone.read_codes if order == "as shown" else person.telephone.read_codes[::-1]
    (tmp_path / "parts.txt").write_text("\n".join(codes) + "\n")
    assert main(["verify", str(tmp_path / "parts.txt"), "--key", str(key_file(person, tmp_path))]) == 0
    told = capsys.readouterr().out
    assert "signature good" in told and "T0000001" in told


def test_a_part_that_is_missing_is_named_and_an_altered_one_is_not_verified(
    shown: tuple[Person, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person, _ = shown
    codes = person.telephone.read_codes
    key = key_file(person, tmp_path)
    (tmp_path / "one.txt").write_text(codes[0])
    assert main(["verify", str(tmp_path / "one.txt"), "--key", str(key)]) == 2
    assert "part 2" in capsys.readouterr().err
    altered = codes[1][:40] + ("0" if codes[1][40] != "0" else "1") + codes[1][41:]
    (tmp_path / "altered.txt").write_text("\n".join([codes[0], altered, *codes[2:]]))
    assert main(["verify", str(tmp_path / "altered.txt"), "--key", str(key)]) == 1
    told = capsys.readouterr().out
    assert "NOT VERIFIED" in told and "T0000001" not in told
    (tmp_path / "parts.txt").write_text("\n".join(codes))
    assert main(["verify", str(tmp_path / "parts.txt"), "--key", str(key), "--topic", "poi/v1/acq1/T0000001/summary"]) == 2
    assert "leave out --topic" in capsys.readouterr().err


def test_who_goes_back_in_the_middle_sees_no_more_of_them() -> None:
    person = Person()
    ui = person.visit("1", "3", "1", "cancel")
    assert len(person.telephone.read_codes) == 1
    assert [page.name for page in ui.pages][-4:] == ["code.part", "code.part", "records.summary", "records"]


def test_what_fits_is_one_code_as_before() -> None:
    person = Person(screen=Screen(320, 240))
    ui = person.visit("1", "3")
    assert "code.part" not in [page.name for page in ui.pages]
    (code,) = person.telephone.read_codes
    assert decode_text(code)[0] == "poi/v1/acq1/T0000001/summary"


@pytest.mark.parametrize("text", ["HTTPS://EXAMPLE.ORG/" + "A" * 500, "RS1:" + "A" * 6000])
def test_another_text_and_one_beyond_any_number_of_parts_are_told_to_be_too_large(text: str) -> None:
    person = Person(never, Screen(24, 24) if text.startswith("RS1:") else Screen())
    ui: Any = Ui(person.terminal.hal.clock, ())
    assert asyncio.run(show_code(person.terminal, ui, text, lambda: False)) == "code.too_large"
    assert person.telephone.read_codes == []


def key_file(person: Person, folder: Path) -> Path:
    path = folder / "key.pem"
    x, y = person.public_key[:32], person.public_key[32:]
    key = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path
