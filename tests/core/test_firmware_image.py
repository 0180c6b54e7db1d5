"""The firmware image: every file by its digest, from a list that somebody who may has signed."""

import asyncio

from firmware_agent.messages.cbor import encode
from firmware_agent.selftest.firmware_image import FORMAT, MANIFEST_NAME, PIECE_BYTES, check_image
from hal.device import HEALTH_FAIL, HEALTH_NOT_RUN, HEALTH_SUCCESS
from tests.core.image_parts import FILES, Maker, Program
from tests.core.parts import Time, clock


def health(maker, program, keys=None):
    time = Time()
    return time.run(check_image(program, maker.element, [maker.key] if keys is None else keys, clock(time), "1"))


def found(maker, program):
    result = health(maker, program)
    assert result.kind == "firmware" and result.outcome == HEALTH_FAIL, result
    return result.cause, result.detail


def test_an_untouched_image_passes_and_says_what_it_read():
    maker = Maker()
    program = maker.sealed()
    result = health(maker, program)
    assert result.outcome == HEALTH_SUCCESS and result.cause == ""
    assert result.measurements["files"] == len(FILES)
    assert result.measurements["image_bytes"] == sum([len(content) for content in FILES.values()])
    assert "duration_ms" in result.measurements
    assert set(program.pieces) == {PIECE_BYTES}  # one buffer, never a whole file


def test_a_change_of_any_byte_of_any_file_is_found():
    maker = Maker()
    for path in FILES:
        for offset in (0, len(FILES[path]) // 2, len(FILES[path]) - 1):
            program = maker.sealed()
            content = bytearray(FILES[path] or b"x")
            content[offset] ^= 1
            program.files[path] = bytes(content)
            assert found(maker, program) == ("file_changed", path)


def test_a_newer_program_in_its_slot_is_not_of_this_one():
    maker = Maker()
    program = maker.sealed()
    program.files["slot_a/asyncio.py"] = program.files["slot_b/main.py"] = b""
    assert health(maker, program).outcome == HEALTH_SUCCESS


def test_a_file_that_is_longer_or_shorter_is_changed():
    maker = Maker()
    for content in (FILES["hal/files.py"] + b"#", FILES["hal/files.py"][:-1], b""):
        program = maker.sealed()
        program.files["hal/files.py"] = content
        assert found(maker, program) == ("file_changed", "hal/files.py")


def test_a_file_that_is_gone_is_named():
    maker = Maker()
    program = maker.sealed()
    del program.files["hal/files.py"]
    assert found(maker, program) == ("file_missing", "hal/files.py")


def test_what_could_be_imported_instead_is_found():
    maker = Maker()
    for path in ("asyncio.py", "asyncio.mpy", "hal/files.mpy", "firmware_agent/screens/font.py", "lib/x.py", "boot.py", "asyncio/x.txt"):
        program = maker.sealed()
        program.files[path] = b"evil"
        cause, detail = found(maker, program)
        assert cause == "file_added" and path.startswith(detail), (path, detail)


def test_an_empty_folder_hides_a_module_of_its_name():
    maker = Maker()
    program = maker.sealed()
    program.folders.append("asyncio")
    assert found(maker, program) == ("file_added", "asyncio")


def test_what_the_terminal_writes_and_what_is_no_module_is_no_change():
    maker = Maker()
    program = maker.sealed()
    program.files["data/store.00000001"] = b"state"
    program.files["notes.txt"] = b"by a technician"
    program.files["hal/__pycache__/files.pyc"] = b"cache"
    assert health(maker, program).outcome == HEALTH_SUCCESS


def test_without_an_element_to_verify_with_nothing_can_be_judged():
    maker = Maker()
    program = maker.sealed()
    maker.element.disable()
    result = health(maker, program)
    assert (result.outcome, result.cause) == (HEALTH_NOT_RUN, "absent")


def test_without_a_manifest_nothing_can_be_judged():
    maker = Maker()
    result = health(maker, Program(FILES))
    assert (result.outcome, result.cause) == (HEALTH_NOT_RUN, "no_manifest")


def test_a_manifest_that_anybody_else_signed_is_wrong():
    maker = Maker()
    assert found(maker, Maker().sealed())[0] == "manifest_wrong"
    result = health(maker, maker.sealed(), keys=[])
    assert (result.outcome, result.cause) == (HEALTH_FAIL, "manifest_wrong")


def test_a_manifest_with_any_bit_changed_is_wrong():
    maker = Maker()
    whole = maker.sealed().files[MANIFEST_NAME]
    for offset in range(len(whole)):
        program = maker.sealed()
        program.files[MANIFEST_NAME] = whole[:offset] + bytes([whole[offset] ^ 0x20]) + whole[offset + 1 :]
        assert found(maker, program)[0] == "manifest_wrong", offset


def test_a_manifest_that_is_cut_off_is_wrong():
    maker = Maker()
    for length in (0, 1, 100):
        program = maker.sealed()
        program.files[MANIFEST_NAME] = program.files[MANIFEST_NAME][:length]
        assert found(maker, program)[0] == "manifest_wrong"


def test_a_good_signature_over_something_else_is_no_manifest():
    maker = Maker()
    assert found(maker, maker.sealed(signed_for="poi/v1/acq1/T0000001/order"))[0] == "manifest_wrong"
    digest = bytes(32)
    maps = ([FORMAT, "1", {digest: "a"}], [FORMAT, "1", {1: digest}], [FORMAT, "1", {}])
    for content in ([], [FORMAT, "1"], [FORMAT + 1, "1", {"a": digest}], [FORMAT, "1", ["a", digest]]) + maps:
        assert found(maker, maker.sealed(payload=encode(content)))[0] == "manifest_wrong", content


def test_the_manifest_of_another_version_is_wrong():
    """An old image with its own good signature is not this one."""
    maker = Maker()
    cause, detail = found(maker, maker.sealed(version="0"))
    assert cause == "manifest_wrong" and "version 0" in detail


def test_others_have_their_turn_between_the_pieces():
    maker = Maker()
    program = maker.sealed()
    time = Time()
    turns = []

    async def run():
        running = True

        async def beside():
            while running:
                turns.append(len(program.pieces))
                await time.sleep_ms(0)

        task = asyncio.create_task(beside())
        await check_image(program, maker.element, [maker.key], clock(time), "1")
        running = False
        task.cancel()

    time.run(run())
    assert len(set(turns)) >= len(program.pieces) // 2
