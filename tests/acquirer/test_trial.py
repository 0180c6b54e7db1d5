"""The acquirer on trial: set up in a folder, gives credentials for requests, and says in one line what is wrong."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from firmware_agent.identity.enrolment import Credentials, enrol, request
from firmware_agent.identity.identity import Identity
from firmware_agent.settings import Settings
from firmware_agent.store import Store
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from hal.hal import Hal
from host_sim.acquirer.equipment import software_element, started_clock
from host_sim.acquirer.office import Office, OfficeError, order_fields
from host_sim.cli import main


async def unenrolled(folder: Path) -> tuple[Hal, Store]:
    """A terminal without any device but what it cannot be without."""
    folder.mkdir(exist_ok=True)
    element = await software_element(folder)
    storage = FileStorage(Files(str(folder)))
    store = Store(storage)
    store.open()
    return Hal("test_board", "hardware-1", await started_clock(), storage, element), store


def reinstate(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "acquirer"
    assert reinstate("acquirer", place, "--broker", "broker.acq1.example:8883") == 0
    return place


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """The request of a terminal."""

    async def ask() -> bytes:
        hal, store = await unenrolled(tmp_path / "terminal")
        return await request(hal, store)

    file = tmp_path / "request"
    file.write_bytes(asyncio.run(ask()))
    return file


def test_a_terminal_is_enrolled_by_two_files(folder: Path, asked: Path, tmp_path: Path) -> None:
    answer = tmp_path / "credentials"
    assert reinstate("enrol", folder, asked, "--terminal", "T0000001", "--set", "language=en", "-o", answer) == 0

    async def take() -> tuple[Identity, str, bytes]:
        hal, store = await unenrolled(tmp_path / "terminal")
        identity = await enrol(hal, store, answer.read_bytes())
        return identity, Settings(store).language, await hal.secure_element.public_key(0)

    identity, language, public_key = asyncio.run(take())
    assert (identity.terminal, identity.acquirer, language) == ("T0000001", "acq1", "en")
    assert (identity.broker_host, identity.broker_port, identity.broker_name) == ("broker.acq1.example", 8883, "broker.acq1.example")
    acquirer = asyncio.run(Office(folder).acquirer())
    assert acquirer.accounts["T0000001"].public_key == public_key
    assert identity.acquirer_keys == [acquirer.public_key]


def test_private_keys_are_for_their_owner_alone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_acquirer_that_starts_again_never_repeats_a_sequence(folder: Path, asked: Path, tmp_path: Path) -> None:
    assert reinstate("enrol", folder, asked, "--terminal", "T0000001", "-o", tmp_path / "credentials") == 0
    taken = []
    for _ in range(3):
        registry = asyncio.run(Office(folder).acquirer()).registry
        taken.append(registry.next_sequence("T0000001"))
        registry.close()
    assert reinstate("enrol", folder, asked, "--terminal", "T0000001", "-o", tmp_path / "credentials") == 0  # the device was replaced
    taken.append(asyncio.run(Office(folder).acquirer()).registry.next_sequence("T0000001"))
    assert taken == [1, 2, 3, 4]


def test_the_registry_may_be_any_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = tmp_path / "elsewhere.sqlite"
    assert reinstate("acquirer", tmp_path / "office", "--broker", "localhost:8883", "--registry", f"sqlite:///{elsewhere}") == 0
    asyncio.run(Office(tmp_path / "office").acquirer())
    assert elsewhere.exists() and not (tmp_path / "office" / "registry.sqlite").exists()
    capsys.readouterr()
    assert reinstate("acquirer", tmp_path / "wrong", "--broker", "localhost:8883", "--registry", "nonsense://user:secret@host/x") == 2
    line = capsys.readouterr().err
    assert "registry" in line and "secret" not in line and len(line.splitlines()) == 1
    assert not (tmp_path / "wrong").exists()


def test_its_broker_listens_where_terminals_look_for_it(folder: Path, tmp_path: Path) -> None:
    assert "listener 8883 0.0.0.0" in (folder / "broker" / "mosquitto.conf").read_text().splitlines()
    assert reinstate("acquirer", tmp_path / "here", "--broker", "localhost:8884") == 0
    assert "listener 8884 127.0.0.1" in (tmp_path / "here" / "broker" / "mosquitto.conf").read_text().splitlines()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["acquirer", "FOLDER", "--broker", "localhost:8883"], "not empty"),
        (["acquirer", "NEW", "--broker", "localhost"], "HOST:PORT"),
        (["acquirer", "NEW", "--broker", "localhost:99999"], "HOST:PORT"),
        (["acquirer", "NEW", "--broker", "localhost:1", "--name", "a/b"], "letters and digits"),
        (["enrol", "NEW", "REQUEST", "--terminal", "T1", "-o", "OUT"], "no acquirer was set up here"),
        (["activate", "FOLDER", "--terminal", "T1", "--unlock", "d1"], "no wrong code of such a device was counted"),
        (["enrol", "FOLDER", "MISSING", "--terminal", "T1", "-o", "OUT"], "No such file"),
        (["enrol", "FOLDER", "GARBAGE", "--terminal", "T1", "-o", "OUT"], "not a request for enrolment"),
        (["enrol", "FOLDER", "REQUEST", "--terminal", "T/1", "-o", "OUT"], "letters and digits"),
        (["enrol", "FOLDER", "REQUEST", "--terminal", "T1", "--set", "colour=blue", "-o", "OUT"], "no setting 'colour'"),
        (["enrol", "FOLDER", "REQUEST", "--terminal", "T1", "--set", "language", "-o", "OUT"], "NAME=VALUE"),
        (["order", "FOLDER", "T1", "self_test", "plan"], "NAME=VALUE"),
        (["order", "FOLDER", "T1", "suspend", "colour=blue"], "no field of an order"),
        (["order", "FOLDER", "T1", "lift", "probation_s=soon"], "not a whole number"),
        (["watch", "NEW"], "no acquirer was set up here"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, folder: Path, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\xff" * 40)
    places = {"FOLDER": folder, "NEW": tmp_path / "new", "REQUEST": asked, "MISSING": tmp_path / "missing", "GARBAGE": garbage}
    places["OUT"] = tmp_path / "out"
    capsys.readouterr()
    assert reinstate(*[places.get(argument, argument) for argument in arguments]) == 2
    told = capsys.readouterr()
    assert told.out == "" and len(told.err.splitlines()) == 1
    assert told.err.startswith("reinstate: ") and line in told.err
    assert not (tmp_path / "out").exists()


def test_a_request_that_its_own_key_did_not_sign_is_not_granted(folder: Path, asked: Path, tmp_path: Path) -> None:
    altered = bytearray(asked.read_bytes())
    altered[altered.find(b"hardware-1", 20)] ^= 1  # the name in the PKCS#10
    asked.write_bytes(altered)
    assert reinstate("enrol", folder, asked, "--terminal", "T1", "-o", tmp_path / "out") == 2
    assert "T1" not in asyncio.run(Office(folder).acquirer()).accounts


def test_the_fields_of_an_order_have_their_types() -> None:
    assert order_fields("lift", ["reason=violation", "probation_s=60"]) == {"action": "lift", "reason": "violation", "probation_s": 60}
    assert order_fields("retire_key", ["key_id=00ff"]) == {"action": "retire_key", "key_id": b"\x00\xff"}
    settings = order_fields("configure", ["settings=language:en", "settings=password:a:b,c"])["settings"]
    assert settings == [["language", "en"], ["password", "a:b,c"]]
    for word in ("action=suspend", "key_id=xy", "settings=language"):
        with pytest.raises(OfficeError):
            order_fields("lift", [word])


def test_credentials_hold_what_the_office_knows(folder: Path, asked: Path) -> None:
    facts = json.loads((folder / "acquirer.json").read_text())
    credentials = Credentials.decoded(asyncio.run(Office(folder).enrol(asked.read_bytes(), "T2", {})))
    assert (credentials.acquirer, credentials.broker_port) == (facts["name"], facts["broker_port"])
