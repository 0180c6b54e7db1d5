"""The examiner: a person answers at the terminal's own keypad and display, as far as it has them."""

from firmware_agent.flows.examiner import Examiner
from firmware_agent.selftest.examination import PAGES
from firmware_agent.texts import load
from hal.hal import Hal
from tests.core.parts import Time, clock


class Ui:
    """Presses `key` on each page, or nothing."""

    def __init__(self, texts, key=""):
        self.texts = texts
        self.key = key
        self.shown = []

    def show(self, page):
        self.shown.append(page)

    async def ask(self, page, outdated, further_keys=()):
        self.shown.append(page)
        keys = [choice[0] for choice in page.choices] + list(further_keys)
        return self.key if self.key in keys else ""


def examined(texts, key, page, **values):
    """What the examiner makes of a key, the page shown, and the lines logged."""
    lines = []
    ui = Ui(texts, key)
    examiner = Examiner(Hal("test_board", "hardware-1", clock(), None, None), ui, lines.append)
    return Time().run(examiner.ask(page, **values)), ui.shown[0], lines


def test_a_question_is_answered_by_its_number_by_enter_and_by_cancel():
    """So that one dead key keeps nobody from answering."""
    texts = load("en")  # once: it is what takes most of a small heap
    for page, key, answer in (
        ("sounder.heard", "1", 1),
        ("sounder.heard", "2", 2),
        ("sounder.heard", "enter", 1),
        ("sounder.heard", "cancel", 2),
        ("sounder.heard", "3", 0),
        ("sounder.heard", "", 0),
        ("sounder.begin", "enter", 1),
        ("sounder.begin", "cancel", 0),
        ("display.seen", "4", 4),
        ("display.seen", "enter", 1),
        ("display.seen", "cancel", 4),
    ):
        assert examined(texts, key, page)[0] == answer, (page, key)


def test_each_page_of_the_examination_has_its_words():
    texts = load("en")
    for page, answers in PAGES.items():
        _, shown, lines = examined(texts, "1", page, keys="1 2 3")
        assert shown.name == "exam." + page and lines == ["shows exam." + page]
        assert shown.title and shown.lines[0] and len(shown.choices) == answers
        assert all([label for _, label in shown.choices])
        assert bool(shown.footer) == (answers > 0)


def test_who_has_no_keypad_and_no_display_presses_and_sees_nothing():
    time = Time()
    examiner = Examiner(Hal("test_board", "hardware-1", clock(time), None, None), Ui(load("en")), [].append)
    assert time.run(examiner.key(700)) == "" and time.now_ms == 700
    time.run(examiner.look(0xFF0000, 300))
    assert time.now_ms == 1000
