"""The file by which a Linux terminal knows whom to ask with an activation code: who takes it, and from whom."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from boards.linux_terminal.factory import encoded, take
from boards.linux_terminal.process import hardware_id
from firmware_agent.identity.identity import KEY_FACTORY, Identity
from firmware_agent.settings import Settings
from firmware_agent.store import Store
from hal.drivers.file_storage import FileStorage
from hal.files import Files
from host_sim.cli import main as reinstate
from tests.core.terminal_parts import identity

DEVICE = "0123456789abcdef0123456789abcdef"


class Place:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "factory"
        self.state = folder / "state"
        self.state.mkdir()
        self.told: list[str] = []

    def bring(self, data: bytes, mode: int = 0o600) -> None:
        self.file.write_bytes(data)
        self.file.chmod(mode)

    def start(self, device: str = DEVICE) -> Store:
        asyncio.run(take(str(self.file), Files(str(self.state)), device, self.told.append))
        store = Store(FileStorage(Files(str(self.state))))
        store.open()
        return store


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def record(device: str = DEVICE, host: str = "broker") -> Identity:
    return identity().changed(terminal=device, certificate=b"", broker_host=host)  # type: ignore[no-any-return]


def test_its_record_and_settings_are_in_the_agents_memory_when_it_starts(place: Place) -> None:
    place.bring(encoded(record(), {"language": "en"}))
    store = place.start()
    assert Identity.load(store, KEY_FACTORY).encoded() == record().encoded() and Settings(store).language == "en"
    assert place.told == [f"factory record of {DEVICE} taken"]
    place.start()
    assert len(place.told) == 1  # nothing new


def test_another_file_gives_another_record_and_leaves_settings_that_people_have_changed_since(place: Place) -> None:
    place.bring(encoded(record(), {"language": "en"}))
    Settings(place.start()).set("language", "zh-CN")
    place.bring(encoded(record(host="another"), {"language": "en"}))
    store = place.start()
    assert Identity.load(store, KEY_FACTORY).broker_host == "another" and Settings(store).language == "zh-CN"


def test_a_file_that_was_removed_takes_nothing_away(place: Place) -> None:
    place.bring(encoded(record(), {}))
    place.start()
    place.file.unlink()
    assert place.start().get(KEY_FACTORY) == record().encoded()
    assert len(place.told) == 1


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (encoded(record("f" * 32), {}), 0o600, f"it is of device {'f' * 32}, and this is {DEVICE}"),
        (encoded(record(), {"colour": "blue"}), 0o600, "this is no file of a factory"),
        (b"", 0o600, "this is no file of a factory"),
        (b"\x01", 0o600, "this is no file of a factory"),
        (encoded(record(), {})[:-1], 0o600, "this is no file of a factory"),
        (encoded(record(), {}) + bytes(9000), 0o600, "this is no file of a factory"),
        (encoded(record(), {}), 0o640, "mode 0600 or 0400"),
        (encoded(record(), {"contact_name": "4111111111111111"}), 0o600, "contact_name"),
    ],
)
def test_what_is_not_for_this_device_or_open_to_others_is_told_and_not_taken(place: Place, data: bytes, mode: int, said: str) -> None:
    place.bring(data, mode)
    assert place.start().get(KEY_FACTORY) is None
    (line,) = place.told
    assert line.startswith(f"failed to take the factory record: {place.file}: ")
    assert said in line and "4111" not in line


def test_an_acquirer_on_trial_makes_it_for_one_device_and_nobody_else_may_read_it(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office, out = tmp_path / "office", tmp_path / "made"
    assert reinstate(["acquirer", str(office), "--broker", "broker.acq1.example:8883"]) == 0
    words = ["factory", str(office), "--device", DEVICE, "--set", "language=en", "-o", str(out)]
    assert reinstate(words) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    place.bring(out.read_bytes())
    known = Identity.load(place.start(), KEY_FACTORY)
    assert (known.terminal, known.acquirer, known.certificate) == (DEVICE, "acq1", b"")
    assert (known.broker_host, known.broker_port, len(known.sealing_key)) == ("broker.acq1.example", 8883, 64)
    capsys.readouterr()
    for wrong, said in ((words, "File exists"), ([*words[:3], "T0000001", *words[4:]], "32 hexadecimal digits")):
        assert reinstate(wrong) == 2
        assert said in capsys.readouterr().err


def test_the_proposed_configuration_tells_the_hardware_id_that_it_is_made_for(capsys: pytest.CaptureFixture[str]) -> None:
    from boards.linux_terminal.detect import proposal

    told = hardware_id() or "none, for want of /etc/machine-id"
    assert f"# Its hardware id, for an activation by code: {told}\n" in proposal(readers=lambda: [], manages=lambda: False)
