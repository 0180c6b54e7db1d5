"""An update: only what the acquirer signed, whole, for this board and newer than what runs is found good; anything else changes nothing."""

from firmware_agent import VERSION
from firmware_agent.boot.slots import SLOTS, Slots
from firmware_agent.boot.update import REFUSALS, UpdateError, install, judge, judged, settle
from firmware_agent.selftest.firmware_image import MANIFEST_NAME
from hal.errors import E_FAILURE, DeviceError
from tests.core.image_parts import FILES, Maker, Program
from tests.core.parts import Flash, PowerCut, Time, clock
from tests.core.support import raises, raises_in
from tests.core.terminal_parts import boot, provisioned

BOARD = "boards/test_board/board.json"
NEW = dict(FILES)
NEW[BOARD] = b"{}"


class Spare(Program):
    def __init__(self, files, root="./" + SLOTS[0]):
        super().__init__(files)
        self.root = root


def release(maker, version="99", files=NEW, **how):
    return Spare(maker.sealed(files, version, **how).files)


def refusal(maker, spare, keys=None):
    """Why it is refused; '' where it is good."""
    time = Time()
    keys = [maker.key] if keys is None else keys

    async def code():
        try:
            await judged(spare, maker.element, keys, clock(time), "test_board", "1.2")
        except UpdateError as error:
            assert error.code in REFUSALS
            return error.code
        return ""

    return time.run(code())


def test_a_newer_version_that_is_whole_and_signed_is_good():
    maker = Maker()
    for version in ("1.3", "1.10", "1.2.1", "2"):
        assert refusal(maker, release(maker, version)) == ""


def test_the_same_or_an_older_version_is_refused_whoever_signed_it():
    maker = Maker()
    for version in ("1.2", "1.2.0", "1.1.9", "0.9", "1", "", "x", "1.2-rc9"):
        assert refusal(maker, release(maker, version)) == "not_newer", version


def test_a_file_that_was_altered_added_or_is_missing_is_found():
    maker = Maker()
    for path in NEW:
        spare = release(maker)
        spare.files[path] += b"x"
        assert refusal(maker, spare) == "file_changed", path
        spare = release(maker)
        del spare.files[path]
        assert refusal(maker, spare) == "file_missing", path
    spare = release(maker)
    spare.files["asyncio.py"] = b""
    assert refusal(maker, spare) == "file_added"


def test_a_list_that_was_altered_cut_off_or_signed_by_somebody_else_is_refused():
    maker = Maker()
    whole = release(maker).files[MANIFEST_NAME]
    for offset in range(0, len(whole), 41):
        spare = release(maker)
        spare.files[MANIFEST_NAME] = whole[:offset] + bytes([whole[offset] ^ 4]) + whole[offset + 1 :]
        assert refusal(maker, spare) == "manifest_wrong", offset
        spare.files[MANIFEST_NAME] = whole[:offset]
        assert refusal(maker, spare) == "manifest_wrong", offset
    other = Maker()
    assert refusal(maker, release(other)) == "manifest_wrong"
    assert refusal(maker, release(maker), keys=[]) == "manifest_wrong"
    assert refusal(maker, release(maker, signed_for="poi/v1/acq1/T0000001/order")) == "manifest_wrong"


def test_a_program_for_another_board_is_refused():
    maker = Maker()
    assert refusal(maker, release(maker, files=FILES)) == "other_board"


def test_an_empty_folder_or_none_is_nothing():
    class Nowhere(Spare):
        def names(self, folder=""):
            raise OSError(2)

    maker = Maker()
    assert refusal(maker, Spare({})) == "nothing_there" and refusal(maker, Nowhere({})) == "nothing_there"


def test_an_element_that_fails_judges_nothing():
    class Broken:
        async def verify(self, public_key, digest, signature):
            raise DeviceError(E_FAILURE, "secure_element", "no answer")

    maker = Maker()
    spare = release(maker)
    maker.element = Broken()
    assert refusal(maker, spare) == "not_judged"


# On a terminal.


def terminal_with(maker, spare, root="."):
    flash = Flash()
    provisioned(flash, [maker.key])
    time = Time()
    terminal = boot(flash, time)
    terminal.run = time.run
    terminal.hal.spare = spare
    terminal.hal.program = Spare({}, root)
    return flash, terminal


def told(terminal):
    return [line for line in terminal.lines if "update" in line]


def test_what_is_good_is_installed_by_one_record_and_told_at_its_good_start():
    maker = Maker()
    flash, terminal = terminal_with(maker, release(maker))
    assert terminal.run(judge(terminal)) == "99" and Slots(flash).trial == ""
    terminal.run(install(terminal))
    assert Slots(flash).trial == SLOTS[0]
    assert Slots(flash).begin() == SLOTS[0]
    terminal.hal.program = Spare({}, "./" + SLOTS[0])
    settle(terminal)
    settle(terminal)
    assert told(terminal)[-1] == "update_installed: version %s runs" % VERSION and Slots(flash).good == SLOTS[0]
    assert len([line for line in told(terminal) if "installed" in line]) == 1


def test_what_was_altered_after_it_was_judged_is_not_installed():
    maker = Maker()
    flash, terminal = terminal_with(maker, release(maker))
    terminal.run(judge(terminal))
    terminal.hal.spare.files["main.py"] = b"evil"
    assert terminal.run(raises_in(UpdateError, install(terminal))).code == "file_changed"
    assert Slots(flash).trial == "" and "update refused: file_changed main.py" in terminal.lines
    assert any([b"update_refused" in record for record in flash.files.values()])


def test_one_that_fell_back_is_told_by_the_program_before_it():
    maker = Maker()
    flash, terminal = terminal_with(maker, release(maker))
    terminal.run(install(terminal))
    while Slots(flash).begin():
        pass
    settle(terminal)
    settle(terminal)
    assert [line for line in told(terminal) if "fell_back" in line] == ["update_fell_back: version %s runs" % VERSION]


def test_a_power_cut_while_it_is_installed_leaves_the_program_or_the_trial():
    maker = Maker()
    for keep_bytes in (0, 7, 8):
        flash, terminal = terminal_with(maker, release(maker))
        flash.cut(2, keep_bytes)  # the first write tells that it was found good
        raises(PowerCut, terminal.run, install(terminal))
        flash.power_up()
        assert Slots(flash).begin() == (SLOTS[0] if keep_bytes == 8 else "")


def test_a_terminal_without_slots_has_nothing_to_install():
    maker = Maker()
    _, terminal = terminal_with(maker, None)
    assert terminal.run(raises_in(UpdateError, judge(terminal))).code == "nothing_there"
    settle(terminal)
    assert told(terminal) == []
