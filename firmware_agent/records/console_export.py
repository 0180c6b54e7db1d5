"""Writes a record to the console, for whoever has its cable: between two lines that name it, each of its lines marked, for others of the
agent's may come between them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from firmware_agent.terminal import Terminal

BEGINS, ENDS = "----- begin ", "----- end "  # + what it is
LINE = "> "  # before each line of it
EVIDENCE, AUDIT, SUMMARY = "evidence", "audit", "summary"


async def export(terminal: "Terminal", what: str, lines: "Iterable[str]") -> int:
    """Gives the number of lines."""
    count = 0
    terminal.log(BEGINS + what)
    for line in lines:
        terminal.log(LINE + line)
        count += 1
        await terminal.hal.clock.sleep_ms(0)
    terminal.log(ENDS + what)
    return count
