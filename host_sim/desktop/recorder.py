"""Writes down what is done to a terminal as a scenario that `reinstate run` replays.

Between two actions a person waits by looking. A replay has to be told what for: where the terminal showed something else than at the action
before, or the acquirer had verified another state, an expectation of that comes before the action.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from firmware_agent.texts import SUFFIX
from firmware_agent.texts import __file__ as texts_module
from firmware_agent.texts import load as load_texts
from host_sim.scenarios.looking import squeezed
from host_sim.scenarios.scenario import Step

TITLE = ".title"
TITLE_LINES = 3  # that a title takes at most, on the smallest display
TAP_S = 0.7  # a key that is let go within this time was tapped
STEADY_S = 1.0  # a state that holds for so long stays
SHORTEST = 4  # characters of a text that tells one screen from another; a word like 'yes' stands on many
_OF_VALUES = "%("


class Sight(NamedTuple):
    """What a person saw before an action. mode: as the acquirer has verified it, since that moment (time.monotonic); page: '' where the
    title has values in it, or is not at the top of what is seen; texts: keys of all texts that can be read.
    """

    mode: str = ""
    since: float = 0.0
    page: str = ""
    texts: frozenset[str] = frozenset()


class Reader:
    """Finds in what stands on a display the terminal's texts. language: of the display."""

    def __init__(self, language: str) -> None:
        self.language = language
        texts = load_texts(language)
        lines = (Path(texts_module).parent / (language + SUFFIX)).read_text(encoding="utf-8").splitlines()
        pairs = [line.split("\t", 1) for line in lines]
        known = [(key, squeezed(texts.get(key))) for key, text in pairs if _OF_VALUES not in text]
        texts.close()
        self._titles: dict[str, list[str]] = {}  # several pages may have the same
        for key, text in known:
            if key.endswith(TITLE):
                self._titles.setdefault(text, []).append(key.removesuffix(TITLE))
        self._texts = {key: text for key, text in known if len(text) >= SHORTEST}

    def sight(self, lines: Sequence[str], from_top: bool = True) -> Sight:
        """lines: of the display; from_top: they are the beginning of the page."""
        pages = self.pages(lines) if from_top else []
        return Sight(page=pages[0] if pages else "", texts=self._read(lines))

    def pages(self, lines: Sequence[str]) -> list[str]:
        """Which page that can be. Where several have the title that stands at the top, those of whose other texts the most stand there."""
        tops = [squeezed("".join(lines[:count])) for count in range(TITLE_LINES, 0, -1)]
        titled = next((self._titles[top] for top in tops if top in self._titles), [])
        if len(titled) < 2:
            return titled
        read = self._read(lines)
        scores = {page: sum(key.startswith(page + ".") and key != page + TITLE for key in read) for page in titled}
        return [page for page in titled if scores[page] == max(scores.values())]

    def _read(self, lines: Sequence[str]) -> frozenset[str]:
        """Keys of the texts that stand there."""
        shown = squeezed("".join(lines))
        return frozenset(key for key, text in self._texts.items() if text in shown)

    def longest(self, keys: Collection[str]) -> str:
        return max(sorted(keys), key=lambda key: len(self._texts[key]))


class Recorder:
    """board, runtime: of the terminal, which was provisioned and off when the recording began; reader: of its texts."""

    def __init__(self, board: str, runtime: str, reader: Reader) -> None:
        self._board = board
        self._runtime = runtime
        self._reader = reader
        self._began = time.time()
        self._steps: list[Step] = []
        self._actions = 0
        self._seen = Sight()
        self._acted = 0.0
        self._held: tuple[str, float] | None = None  # the key that went down with the last step, and when

    @property
    def actions(self) -> int:
        """How many were recorded."""
        return self._actions

    def did(self, verb: str, argument: str | dict[str, str], sight: Sight | None, begun: float = 0.0) -> None:
        """An action was carried out. sight: what was seen just before, None: the terminal was off; begun: when (time.monotonic), 0: now."""
        held, self._held = self._held, None
        if verb == "let_go" and held is not None and held[0] == argument and (begun or time.monotonic()) - held[1] < TAP_S:
            self._steps[-1] = Step("press", argument, 0)
            return
        if sight is not None:
            self._steps += self._waits(sight)
        self._seen = sight if sight is not None and verb != "device" else Sight(self._seen.mode)
        self._acted = time.monotonic()
        self._steps.append(Step(verb, argument, 0))
        self._actions += 1
        if verb == "hold" and isinstance(argument, str):
            self._held = (argument, time.monotonic())

    def _waits(self, sight: Sight) -> list[Step]:
        """For a replay to see what the person saw. A state that was there at the action before already, or came just now, may be about to
        change: it is not waited for. The page comes last: it is what the action is for. A page whose title has values in it is one that
        counts or waits: nothing on it is sure to be met again.
        """
        before = self._seen
        waits = []
        stays = sight.since > self._acted and time.monotonic() - sight.since >= STEADY_S
        if sight.mode and sight.mode != before.mode and stays:
            waits.append(Step("expect_state", sight.mode, 0))
        if sight.page and sight.page != before.page:
            waits.append(Step("expect_page", sight.page, 0))
        elif sight.page and sight.texts - before.texts:
            waits.append(Step("expect_text", self._reader.longest(sight.texts - before.texts), 0))
        return waits

    def scenario(self, sight: Sight | None) -> str:
        """All of it as YAML, with what is seen now as its end."""
        steps = [*self._steps, *(self._waits(sight) if sight is not None and self._steps else [])]
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(self._began))
        head = {"scenario": f"Recorded on the desktop, {began}", "board": self._board, "language": self._reader.language}
        lines = [f"# The agent ran on {self._runtime}.", yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000).rstrip()]
        if not steps:
            return "\n".join([*lines, "steps: []  # nothing was done yet", ""])
        return "\n".join([*lines, "steps:", *(f"  - {_written(step)}" for step in steps), ""])


def _written(step: Step) -> str:
    """One line of YAML."""
    if not step.argument:
        return step.verb
    style = '"' if "\\n" in repr(step.argument) else None  # else a line break would be one in the file
    text: str = yaml.safe_dump(
        step.argument, default_flow_style=True, default_style=style, sort_keys=False, allow_unicode=True, width=10**6
    )
    return f"{step.verb}: {text.partition(chr(10))[0]}"
