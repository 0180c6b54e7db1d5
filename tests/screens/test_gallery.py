"""The gallery: no page looks otherwise than it was accepted, and none is forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import pytest
from PIL import Image

from firmware_agent.screens.page import Page
from firmware_agent.screens.page_view import lay_out
from firmware_agent.texts import LANGUAGES, load
from tools import build_gallery
from tools.build_gallery import ACCEPT, ROOT, Picture, boards, changed, changes, compared, pictures
from tools.sample_pages import fullest_pages, usual_pages
from tools.sample_terminal import Scene, WholeFont

CLOSING, OPENING = "，。、；：！？）》」』】〉〕”’％", "（《「『【〈〔“‘￥"


@pytest.mark.parametrize("board", boards())
def test_no_page_looks_otherwise_than_accepted(board):
    names = compared(list(pictures(board)), board + "/")
    page = f"build/gallery/changes-{board}.html"
    assert names == [], f"{len(names)} pages look otherwise: {page} shows them; what is right is accepted with: {ACCEPT}"


def test_every_page_is_in_the_gallery():
    shown = set()
    for board in boards():
        scene = Scene(board)
        for sample in usual_pages(scene, load("en")):
            name = sample.shown.name if isinstance(sample.shown, Page) else sample.name
            assert sample.name == name or sample.name.startswith(name + "."), sample.name
            shown.add(name)
    sources = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (ROOT / "firmware_agent").rglob("*.py")}
    forgotten = []
    for place, name in names_of_pages(sources):
        if name not in shown and not (name.endswith("*") and any(known.startswith(name[:-1]) for known in shown)):
            forgotten.append(f"{place}: the page {name!r} has no sample in tools/sample_pages.py")
    assert forgotten == []


@pytest.mark.parametrize("board", boards())
def test_no_row_begins_with_closing_or_ends_with_opening_punctuation(board):
    scene = Scene(board)
    font = WholeFont()
    for page in fullest_pages(scene, load("zh-CN")):
        for _, row in lay_out(page, scene.width_px, scene.height_px, font)[1]:
            assert row[:1] not in CLOSING or not row, (page.name, row)
            assert row[-1:] not in OPENING or not row, (page.name, row)
    font.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_samples_have_one_name(language):
    names = [sample.name for sample in usual_pages(Scene("esp32s3_counter"), load(language))]
    assert sorted(set(names)) == sorted(names)


# What the command does with pictures.


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.setattr(build_gallery, "FOLDER", tmp_path)
    monkeypatch.setattr(build_gallery, "ACCEPTED", tmp_path / "gallery.sha256")
    return tmp_path


def picture(name: str, colour: str, sha256: str) -> Picture:
    return Picture("board/en/" + name, Image.new("RGB", (4, 4), colour), sha256 * 64)


def test_what_is_accepted_is_no_change(gallery):
    drawn = [picture("b", "red", "1"), picture("a", "blue", "2")]
    assert compared(drawn) == ["board/en/a", "board/en/b"]
    build_gallery.accept(drawn)
    assert (gallery / "gallery.sha256").read_text().splitlines() == ["2" * 64 + "  board/en/a", "1" * 64 + "  board/en/b"]
    assert compared(drawn) == []


def test_another_a_new_and_a_missing_picture_are_changes():
    assert changed({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}) == ["b", "c", "d"]
    assert changed({"x/b": "2"}, {"x/b": "9", "y/d": "4"}, "x/") == ["x/b"]


def test_a_change_is_shown_with_what_it_was_before(gallery):
    before, now = picture("a", "red", "1"), picture("a", "blue", "2")
    build_gallery.accept([before])
    compared([now], "board")
    page = (gallery / "changes-board.html").read_text()
    assert now.path in page and before.path not in page and "never drawn here" in page and ACCEPT in page
    build_gallery.save([before])
    compared([now], "board")
    assert before.path in (gallery / "changes-board.html").read_text()


def test_pictures_that_are_neither_of_now_nor_accepted_go(gallery):
    accepted, now, old = picture("a", "red", "1"), picture("a", "blue", "2"), picture("a", "green", "3")
    build_gallery.accept([accepted])
    build_gallery.save([accepted, now, old])
    build_gallery.tidy([now])
    assert sorted(path.name for path in gallery.rglob("*.png")) == ["a.111111111111.png", "a.222222222222.png"]


def test_new_and_removed_pages_are_told():
    page = changes(["a", "b"], {"a": "1" * 64}, {"b": "2" * 64})
    assert "<p>new</p>" in page and "<p>is no more</p>" in page


# Which pages there are.


def names_of_pages(sources: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(place, name) of each page that the program makes; 'exam.*' where only its beginning is written there. A name that is handed to the
    function which makes the page is looked for where that is called.
    """
    calls = {place: calls_in(ast.parse(source)) for place, source in sources.items()}
    wanted = [("Page", 0, tuple(calls))]  # function, position of the name among its arguments, where it is called
    seen = set(wanted)
    while wanted:
        function, position, places = wanted.pop()
        for place in places:
            for within, call in calls[place].get(function, []):
                if len(call.args) <= position:
                    continue
                for name in words_of(call.args[position], within):
                    if not isinstance(name, int):
                        yield f"{place}:{call.lineno}", name
                        continue
                    further = (within.name, name, (place,) if within.name.startswith("_") else tuple(calls))
                    if further not in seen:
                        seen.add(further)
                        wanted.append(further)


Function = ast.FunctionDef | ast.AsyncFunctionDef


def calls_in(tree: ast.AST) -> dict[str, list[tuple[Function, ast.Call]]]:
    """By the name of the function or method: each call of it, with the function that it stands in."""
    calls: dict[str, list[tuple[Function, ast.Call]]] = {}
    for within in ast.walk(tree):
        if isinstance(within, Function):
            for node in ast.walk(within):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                    calls.setdefault(name, []).append((within, node))
    return calls


def words_of(node: ast.expr, within: Function) -> Iterator[str | int]:
    """What an expression may be: a word, the beginning of one with '*', or the place of a parameter of the function that it stands in."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.BinOp):
        yield from (word.split("%")[0].rstrip("*") + "*" for word in words_of(node.left, within) if isinstance(word, str))
    elif isinstance(node, ast.IfExp):
        yield from words_of(node.body, within)
        yield from words_of(node.orelse, within)
    elif isinstance(node, ast.Name):
        parameters = [argument.arg for argument in within.args.args if argument.arg != "self"]
        if node.id in parameters:
            yield parameters.index(node.id)
        for assigned in ast.walk(within):
            if isinstance(assigned, ast.Assign) and any(isinstance(to, ast.Name) and to.id == node.id for to in assigned.targets):
                yield from words_of(assigned.value, within)
    else:
        yield ast.unparse(node)


def test_names_of_pages_are_found_where_they_are_written():
    source = """
def one(texts): return Page("one", "T")
def two(name, texts): return Page(name, "T")
def three(self):
    name = "three." + self.step
    return Page(name, "T")
class Flow:
    def four(self, texts, name): return two(name, texts)
    def five(self): self.four(texts, "five" if self.ready else "six")
    def seven(self): return Page("seven.%s.x" % self.step + self.rest, "T")
"""
    assert sorted(name for _, name in names_of_pages({"flow.py": source})) == ["five", "one", "seven.*", "six", "three.*"]
