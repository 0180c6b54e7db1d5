"""What a self-test tests, and with whose help: handed to each phase's task."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from firmware_agent.terminal import Terminal
    from hal.device import Health
    from hal.hal import Hal

    class Person(Protocol):
        """Who looks, listens and presses keys. `page` is one of firmware_agent.selftest.examination.PAGES, values fill its text.

        show: what to do now; ask: shows a question, and gives the number of the answer chosen, 0 when nobody answered in time; key: the
        next key pressed, '' when none was; look: shows one colour (0xRRGGBB) on all of the display until a key is pressed or the time is
        over.
        """

        def show(self, page: str, **values: object) -> None: ...
        async def ask(self, page: str, **values: object) -> int: ...
        async def key(self, timeout_ms: int) -> str: ...
        async def look(self, colour: int, timeout_ms: int) -> None: ...


class Subject:
    """hal: brought up; terminal: None where there is no memory or no identity; person: None where nobody is asked;
    print_sample: prints a slip for the person to read; checks: further checks by name ('network.path', 'firmware', 'power'), each gives a
    Health; rotten: where there is no terminal, whether what it kept was there once and has rotted.
    """

    def __init__(
        self,
        hal: "Hal",
        terminal: "Terminal | None" = None,
        person: "Person | None" = None,
        print_sample: "Callable[[], Awaitable[None]] | None" = None,
        checks: "dict[str, Callable[[], Awaitable[Health]]] | None" = None,
        rotten: bool = False,
    ) -> None:
        self.hal = hal
        self.terminal = terminal
        self.person = person
        self.print_sample = print_sample
        self.checks = checks or {}
        self.rotten = rotten
