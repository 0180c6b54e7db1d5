"""A page: one screen asking one thing, as plain data. How it looks is in page_view.py."""

TONE_NORMAL = "normal"
TONE_ALERT = "alert"  # the terminal takes no payments, or something failed
TONE_GOOD = "good"  # something passed
TONES = (TONE_NORMAL, TONE_ALERT, TONE_GOOD)


class Page:
    """name: for flows and tests, never shown; title: the bar at the top; lines: paragraphs of the body, in which '\\t' sets what follows it
    at the right edge; choices: (key, label) pairs, shown as '1 Continue'; footer: which keys do what; tone: TONES.

    Raises ValueError for a tone that does not exist.
    """

    def __init__(
        self,
        name: str,
        title: str,
        lines: "tuple[str, ...] | list[str]" = (),
        choices: "tuple[tuple[str, str], ...] | list[tuple[str, str]]" = (),
        footer: str = "",
        tone: str = TONE_NORMAL,
    ) -> None:
        if tone not in TONES:
            raise ValueError("no tone " + repr(tone))
        self.name = name
        self.title = title
        self.lines = tuple(lines)
        self.choices = tuple(choices)
        self.footer = footer
        self.tone = tone

    def __repr__(self) -> str:
        return "Page(%s)" % self.name
