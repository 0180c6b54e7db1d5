"""The `reinstate` command. Exit codes: 0 done and good, 1 done and something failed, 2 wrong usage or input (one line on stderr)."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from firmware_agent.texts import LANGUAGES
from host_sim.brokers import BrokerFailure
from host_sim.junit import junit_xml
from host_sim.scenario import ScenarioError, boards, load
from host_sim.story import BROKERS, Outcome, Story
from host_sim.terminal import RUNTIMES, TerminalFailure, micropython_binary

GOOD, FAILED, WRONG_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point of the `reinstate` command."""
    parser = argparse.ArgumentParser(prog="reinstate", description="Gets a suspended payment terminal back into service.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a scenario without a window", description=_run.__doc__)
    run.add_argument("scenario", type=Path, metavar="SCENARIO", help="a scenario file (see docs/simulation.md)")
    run.add_argument("--runtime", choices=RUNTIMES, default="micropython", help="what the agent runs on (default: %(default)s)")
    run.add_argument("--board", choices=boards(), help="default: as the scenario says")
    run.add_argument("--lang", choices=LANGUAGES, help="language of the screens; default: as the scenario says")
    run.add_argument("--broker", choices=BROKERS, default="embedded", help="default: %(default)s")
    run.add_argument("--json", action="store_true", help="print one JSON document and nothing else on stdout")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the steps as JUnit XML")
    run.add_argument("--screens", type=Path, metavar="DIR", help="write each expected screen and slip as PNG")
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except (ScenarioError, BrokerFailure, TerminalFailure) as error:
        print(f"reinstate: {error}", file=sys.stderr)
        return WRONG_USAGE
    except KeyboardInterrupt:
        return FAILED


def _run(options: argparse.Namespace) -> int:
    """Run a scenario: a broker, an acquirer and one terminal; tells each step as it happens and ends with a summary."""
    scenario = load(options.scenario)
    if options.runtime == "micropython":
        micropython_binary()
    began = time.monotonic()
    out = sys.stderr if options.json else sys.stdout

    def tell(who: str, what: str) -> None:
        if who:
            print(f"{time.monotonic() - began:7.2f} s  {who:<9} {what}", file=out, flush=True)
        else:
            print(f"\n--- {what}", file=out, flush=True)

    # The agent's processes and sockets live in this folder; a socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="reinstate-") as folder:
        story = Story(
            scenario,
            Path(folder),
            board=options.board or scenario.board,
            runtime=options.runtime,
            language=options.lang or scenario.language,
            broker=options.broker,
            tell=tell,
            screens=options.screens,
        )
        outcome = asyncio.run(story.run())
    if options.junit is not None:
        options.junit.write_text(junit_xml(outcome), encoding="utf-8")
    if options.json:
        print(json.dumps(outcome.document(), ensure_ascii=False, indent=2))
    else:
        with contextlib.suppress(BrokenPipeError):
            _summary(outcome)
    return GOOD if outcome.passed else FAILED


def _summary(outcome: Outcome) -> None:
    print("\n=== Screens")
    shown: list[list[str]] = []
    for name, screen in outcome.screens:
        if screen not in shown:
            shown.append(screen)
            print(_framed(name, screen))
    if outcome.slip:
        print("\n=== Slip")
        print(_framed("", outcome.slip))
    print("\n=== Summary")
    print(f"{outcome.scenario}")
    print(f"board {outcome.board}, agent on {outcome.runtime}, {len(outcome.steps)} steps in {outcome.duration_s:.1f} s")
    print(
        f"messages in both directions: {outcome.published} published, {outcome.verified} signatures verified, {outcome.refused} refused"
    )
    print(f"final state: {outcome.final_state}")
    print("passed" if outcome.passed else "FAILED")


def _framed(name: str, lines: Sequence[str]) -> str:
    width = max([40, *(_columns(line) for line in lines)])
    rows = [f"+-{name + ' ' if name else ''}{'-' * (width - len(name) - (1 if name else 0))}-+"]
    rows += [f"| {line}{' ' * (width - _columns(line))} |" for line in lines]
    return "\n".join([*rows, f"+-{'-' * width}-+"])


def _columns(text: str) -> int:
    """Width in a terminal window: a Chinese character takes two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


if __name__ == "__main__":
    sys.exit(main())
