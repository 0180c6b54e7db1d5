"""Lines in double size: drawn so that they are read back, on every height of row, in both languages."""

import pytest

from firmware_agent.screens.page import Page
from firmware_agent.texts import LANGUAGES, load
from tests.screens.test_reading import read, squeezed


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("others", [1, 6, 9])
def test_a_large_line_is_read_back(language: str, others: int) -> None:
    texts = load(language)
    first = texts.get("customer.because_unavailable")
    page = Page("customer", texts.get("customer.title"), [first] + [texts.get("customer.thanks")] * others, footer="x", large=1)
    lines = read(page)
    assert squeezed("".join(lines)).startswith(squeezed(page.title + first + page.lines[1]))
    assert len(lines) > 3
