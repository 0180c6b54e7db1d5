"""A person before the terminal, for tests of flows: presses keys, reads pages, and takes slips. By meaning: pages are known by their names,
texts by their keys.
"""

from tests.core.parts import Time, clock


class KeyTexts:
    """Keys and values instead of words, which would take a fifth of the heap here."""

    language = "en"

    def get(self, key, **values):
        return " ".join([key] + [str(values[name]) for name in sorted(values)])


class Slips:
    """Paper. error: what the printer raises."""

    def __init__(self, error=None):
        self.error = error
        self.lines = []
        self.codes = 0

    async def print_lines(self, lines, title="", ends=True):
        if self.error is not None:
            raise self.error
        self.lines.extend(([title] if title else []) + list(lines))
        return 0

    async def print_code(self, code):
        self.codes += 1
        return True


class Person:
    """keys: pressed one after the other, each one that the page asks for; 'who_leaves' has none left. pages: what was shown."""

    def __init__(self, keys="", slips=None, time=None):
        self.texts = KeyTexts()
        self.clock = clock(time or Time())
        self.slips = slips
        self.pages = []
        self.keys = keys.split()

    def show(self, page):
        self.pages.append(page)

    def speak(self, language):
        self.texts.language = language

    async def ask(self, page, outdated, further_keys=()):
        self.pages.append(page)
        if not self.keys or outdated():
            return ""
        key = self.keys.pop(0)
        known = [choice[0] for choice in page.choices] + list(further_keys)
        assert key in known, "%s knows %s and not %s" % (page.name, known, key)
        return key

    def has_left(self):
        return not self.keys

    @property
    def names(self):
        return [page.name for page in self.pages]

    def page(self, name):
        """The last one of that name."""
        return [page for page in self.pages if page.name == name][-1]
