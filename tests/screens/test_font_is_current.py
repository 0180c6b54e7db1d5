"""The font file in the tree is what the builder makes of the texts in the tree."""

from pathlib import Path

import pytest

from tools.build_font import FONT_FILE, characters_in_use, font_data, glyphs, main

LINES = ["0041:" + "18" * 16, "4E00:" + "FFFE" * 16, "0042:" + "24" * 16]


@pytest.mark.needs("unifont")
def test_the_font_file_is_current():
    assert main(["--check"]) == 0


def test_the_check_says_what_to_run_for_a_font_that_is_not_current(tmp_path, capsys, monkeypatch):
    source = _source(tmp_path)
    monkeypatch.setattr("tools.build_font.characters_in_use", lambda: {"A", "一"})
    output = tmp_path / "font.bin"
    output.write_bytes(b"old")
    options = ["--unifont", str(source), "--output", str(output)]
    assert main([*options, "--check"]) == 1
    assert capsys.readouterr().err == "font.bin is not current: run python tools/build_font.py\n"
    assert output.read_bytes() == b"old"
    assert main(options) == 0
    assert main([*options, "--check"]) == 0


def test_a_font_file_that_is_not_there_is_not_current(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.build_font.characters_in_use", lambda: {"A"})
    assert main(["--unifont", str(_source(tmp_path)), "--output", str(tmp_path / "none.bin"), "--check"]) == 1


def test_no_unifont_is_a_clear_line_and_exit_code_2(tmp_path, capsys):
    assert main(["--unifont", str(tmp_path / "none.hex"), "--output", str(tmp_path / "font.bin")]) == 2
    assert "none.hex" in capsys.readouterr().err
    assert not (tmp_path / "font.bin").exists()


def test_glyphs_are_sorted_by_width_and_code_point():
    assert font_data(glyphs(LINES, {"一", "B", "A"})) == (
        b"RUF1\x00\x02\x00\x01" + b"\x00\x41" + b"\x18" * 16 + b"\x00\x42" + b"\x24" * 16 + b"\x4e\x00" + b"\xff\xfe" * 16
    )


def test_a_character_without_glyph_is_named():
    with pytest.raises(ValueError, match="U\\+4E8C 二"):
        glyphs(LINES, {"A", "二"})


def test_a_character_beyond_the_format_is_refused():
    with pytest.raises(ValueError, match="U\\+1F600"):
        glyphs([*LINES, "1F600:" + "18" * 32], {"A", "\U0001f600"})


def test_ascii_and_every_character_of_the_texts_are_asked_for():
    used = characters_in_use()
    assert {chr(code) for code in range(0x20, 0x7F)} <= used
    assert set("终端已停用自检重新注册…") <= used
    assert "\t" not in used


def test_the_licence_lies_beside_the_font():
    licence = FONT_FILE.with_name("unifont16.LICENSE.txt").read_text(encoding="utf-8")
    for holder in ("Jungshik Shin", "Roman Czyborra", "Qianqian Fang", "Paul Hardy", "Andrew Miller", "David Corbett", "Johnnie Weaver"):
        assert holder in licence
    for words in ("GNU Unifont", "SIL OPEN FONT LICENSE Version 1.1", "font embedding exception"):
        assert words in licence


def _source(folder: Path) -> Path:
    source = folder / "unifont.hex"
    source.write_text("\n".join(LINES) + "\n", encoding="ascii")
    return source
