"""Texts that others wrote, before a person sees them: what is shown is what was signed, and nothing in it moves or hides the rest."""

# What parts words, each shown as one blank. Not str.split: what it takes for a blank differs between the runtimes.
_BLANKS = "\t\n\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# Characters without a look of their own: controls, and format characters (Unicode categories Cc, Cf, Zl, Zp, Cs, and variation selectors).
# Among them are the overrides of direction (UAX #9), with which a text reads otherwise than it is written.
_UNSEEN = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x61C, 0x61C),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0xD800, 0xDFFF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xE0000, 0xE0FFF),
)


def plain_text(text: str) -> str:
    """The text as one paragraph: line ends, tabs and runs of blanks become one blank, for how it is laid out is the display's. A character
    that the font lacks stays: it is seen as a box. Raises ValueError for one that cannot be seen at all.
    """
    for blank in _BLANKS:
        text = text.replace(blank, " ")
    text = " ".join([word for word in text.split(" ") if word])
    for character in text:
        code = ord(character)
        if any([first <= code <= last for first, last in _UNSEEN]):
            raise ValueError("a text with the unseen character U+%04X" % code)
    return text
