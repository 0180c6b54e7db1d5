"""A person at the records: presses these keys, one after the other, and then leaves each page."""

from firmware_agent.flows.menu.records_flow import records_flow
from firmware_agent.records.console_export import BEGINS, ENDS, LINE
from firmware_agent.settings import Settings
from tests.core.parts import Time
from tests.core.records_parts import Shop, Words
from tests.core.selftest_parts import serving_flash
from tests.core.terminal_parts import boot


class Slips:
    def __init__(self):
        self.lines = []
        self.codes = []

    async def print_lines(self, lines, title="", ends=True):
        self.lines.extend(([title] if title else []) + list(lines))
        return 0

    async def print_code(self, code):
        self.codes.append(code)
        return True


class Ui:
    """Presses these keys, and then leaves each page."""

    def __init__(self, clock, keys, prints=True):
        self.texts = Words()
        self.clock = clock
        self.keys = list(keys)
        self.pages = []
        self.slips = Slips() if prints else None

    def show(self, page):
        pass

    async def ask(self, page, outdated, further_keys=()):
        self.pages.append(page)
        key = self.keys.pop(0) if self.keys else "cancel"
        assert key in [choice[0] for choice in page.choices] + list(further_keys), (key, page.choices)
        return key

    def page(self, name):
        """The lines of all pages of that name, in the order in which they were read."""
        return [line for page in self.pages if page.name == name for line in page.lines]


def recovered(terminal):
    Shop(terminal).recover()
    terminal.watch_suspension()


def suspended(terminal):
    Shop(terminal).suspend()


def never(terminal):
    pass


def visited(keys, past=recovered, prints=True, flow=records_flow):
    """The terminal with that past, and what a person with these keys has seen."""
    time = Time()
    terminal = boot(serving_flash(), time)
    past(terminal)
    terminal.lines.clear()
    ui = Ui(terminal.hal.clock, keys, prints)

    async def visit():
        await terminal.hal.secure_element.generate_key(0)
        await flow(terminal, ui, Settings(terminal.store), lambda: False)

    time.run(visit())
    return terminal, ui


def exported(terminal, what):
    """The lines of the last export of that name."""
    lines = terminal.lines
    begin = lines.index(BEGINS + what)
    return [line[len(LINE) :] for line in lines[begin + 1 : lines.index(ENDS + what)] if line.startswith(LINE)]
