"""A page: one screen asking one thing, as plain data. How it looks is in page_view.py."""

TONE_NORMAL = "normal"
TONE_ALERT = "alert"  # the terminal takes no payments, or something failed
TONE_GOOD = "good"  # something passed
TONES = (TONE_NORMAL, TONE_ALERT, TONE_GOOD)


class Page:
    """name: for flows and tests, never shown; title: the bar at the top; lines: paragraphs of the body, in which '\\t' sets what follows it
    at the right edge; choices: (key, label) pairs, shown as '1 Continue'; footer: which keys do what; tone: TONES; large: how many of the
    lines stand in double size, where the display has room for it; stays: after a page of the same name it is drawn scrolled as that was.

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
        large: int = 0,
        stays: bool = False,
    ) -> None:
        if tone not in TONES:
            raise ValueError("no tone " + repr(tone))
        self.name = name
        self.title = title
        self.lines = tuple(lines)
        self.choices = tuple(choices)
        self.footer = footer
        self.tone = tone
        self.large = large
        self.stays = stays

    def __repr__(self) -> str:
        return "Page(%s)" % self.name
