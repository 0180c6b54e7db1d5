"""The page of unfinished transactions: what is on it, having them settled, and that it gives way."""

from firmware_agent.flows.menu.transactions_flow import transactions_flow, transactions_page
from hal.payment import REVERSAL, Unfinished
from tests.core.parts import NOW_S
from tests.core.payment_parts import Shop, silent


class Words:
    """In the place of a language, which would not leave room for a terminal beside it."""

    def get(self, key, **values):
        return " ".join([key] + [str(values[name]) for name in sorted(values)])


class Person:
    """Presses these keys; '' is a look away, until the page is out of date. What was shown is in `shown`."""

    def __init__(self, keys, texts):
        self.texts = texts
        self.keys = list(keys)
        self.shown = []

    def show(self, page):
        self.shown.append(page)

    async def ask(self, page, outdated, further_keys=()):
        self.shown.append(page)
        key = self.keys.pop(0)
        assert key in further_keys or key in [choice[0] for choice in page.choices] or (key == "" and outdated())
        return key


def visited(shop, keys, outdated=lambda: False):
    person = Person(keys, Words())
    shop.time.run(transactions_flow(shop.terminal, person, outdated))
    return [(page.name, page.lines) for page in person.shown]


def test_each_unfinished_transaction_has_its_line():
    page = transactions_page(Words(), 480, [Unfinished("000003", 1, NOW_S), Unfinished("000004", 123456, 0)])
    assert page.lines[1:] == ("transactions.line 0.01 000003 2026-11-22 08:00", "transactions.line_no_time 1234.56 000004")
    assert [key for key, _ in page.choices] == ["1"]


def test_they_are_settled_when_the_person_wants_it():
    shop = Shop()
    shop.host.begun = ["000003", "000004"]
    pages = visited(shop, ["1", "cancel"])
    assert [name for name, _ in pages] == ["transactions", "transactions.working", "transactions"]
    assert pages[2][1] == ("transactions.ended 2", "transactions.none")
    assert shop.host.begun == [] and len(shop.events("transactions_settled")) == 1


def test_a_host_that_does_not_answer_leaves_them_on_the_page():
    shop = Shop()
    shop.host.begun = ["000003"]
    shop.host.answers[REVERSAL] = silent()
    pages = visited(shop, ["1", "cancel"])
    assert pages[2][1] == ("transactions.again", "transactions.line_no_time 0.01 000003")


def test_it_is_drawn_anew_when_one_is_settled_meanwhile_and_gives_way_to_what_is_due():
    shop = Shop()
    shop.host.begun = ["000003"]

    class Waiting(Person):
        async def ask(self, page, outdated, further_keys=()):
            shop.host.begun = []
            return await super().ask(page, outdated, further_keys)

    person = Waiting(["", "cancel"], Words())
    shop.time.run(transactions_flow(shop.terminal, person, lambda: False))
    assert len(person.shown) == 2
    assert len(visited(shop, [""], lambda: True)) == 1


def test_a_terminal_without_a_payment_application_has_nothing_unfinished():
    shop = Shop()
    shop.terminal.hal.payment = None
    assert visited(shop, ["cancel"])[0][1] == ("transactions.none",)
